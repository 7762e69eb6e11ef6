//! pingora-relay LISTEN ORIGIN -- a plain HTTP/1 proxy with one worker thread, as its documentation
//! shows it: no access log, upstream connections kept without a bound that a short run would meet.
use async_trait::async_trait;
use pingora::prelude::*;
use pingora::server::configuration::ServerConf;

struct Relay {
    origin: String,
}

#[async_trait]
impl ProxyHttp for Relay {
    type CTX = ();
    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(&self.origin, false, String::new())))
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(listen), Some(origin)) = (args.next(), args.next()) else {
        eprintln!("usage: pingora-relay LISTEN ORIGIN");
        std::process::exit(2);
    };
    let conf = ServerConf {
        threads: 1,
        upstream_keepalive_pool_size: 4096,
        ..Default::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut proxy = http_proxy_service(&server.configuration, Relay { origin });
    proxy.add_tcp(&listen);
    server.add_service(proxy);
    server.run_forever();
}
