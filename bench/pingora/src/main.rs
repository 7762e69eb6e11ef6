//! pingora-relay LISTEN ORIGIN [--tls CERT KEY] [--h2] [--origin-h2] -- a proxy with one worker
//! thread, as its documentation shows it: no access log, upstream connections kept without a bound
//! that a short run would meet. `--h2`: clients speak HTTP/2, by ALPN or by prior knowledge; it
//! speaks it by prior knowledge to the origin with `--origin-h2`, 100 streams a connection.
use async_trait::async_trait;
use pingora::apps::HttpServerOptions;
use pingora::listeners::tls::TlsSettings;
use pingora::prelude::*;
use pingora::server::configuration::ServerConf;

struct Relay {
    origin: String,
    h2: bool,
}

#[async_trait]
impl ProxyHttp for Relay {
    type CTX = ();
    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(&self.origin, false, String::new());
        if self.h2 {
            peer.options.set_http_version(2, 2);
            peer.options.max_h2_streams = 100;
        }
        Ok(Box::new(peer))
    }
}

#[derive(Default)]
struct Options {
    places: Vec<String>,
    tls: Option<(String, String)>,
    h2: bool,
    origin_h2: bool,
}

/// None where the arguments are not as above.
fn options() -> Option<Options> {
    let mut args = std::env::args().skip(1);
    let mut options = Options::default();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--tls" => options.tls = Some((args.next()?, args.next()?)),
            "--h2" => options.h2 = true,
            "--origin-h2" => options.origin_h2 = true,
            _ => options.places.push(arg),
        }
    }
    (options.places.len() == 2).then_some(options)
}

fn main() {
    let Some(options) = options() else {
        eprintln!("usage: pingora-relay LISTEN ORIGIN [--tls CERT KEY] [--h2] [--origin-h2]");
        std::process::exit(2);
    };
    let (listen, origin) = (&options.places[0], options.places[1].clone());
    let conf = ServerConf {
        threads: 1,
        upstream_keepalive_pool_size: 4096,
        ..Default::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let relay = Relay { origin, h2: options.origin_h2 };
    let mut proxy = http_proxy_service(&server.configuration, relay);
    if let Some((cert, key)) = &options.tls {
        let mut tls = TlsSettings::intermediate(cert, key).expect("certificate and key");
        if options.h2 {
            tls.enable_h2();
        }
        proxy.add_tls_with_settings(listen, None, tls);
    } else {
        proxy.add_tcp(listen);
        if let (true, Some(app)) = (options.h2, proxy.app_logic_mut()) {
            let mut h2c = HttpServerOptions::default();
            h2c.h2c = true;
            app.server_options = Some(h2c);
        }
    }
    server.add_service(proxy);
    server.run_forever();
}
