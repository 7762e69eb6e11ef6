/* origin.c -- the web server behind the proxies that are measured: one thread, bodies of any size,
 * and counters that are believed more than anybody else's.
 *
 * SIGUSR1 prints the counters as one line of JSON; SIGTERM or SIGINT prints them once more and
 * ends. Once it accepts it says "listening on ADDRESS (http)" on stderr. */
#include "common/sock.h"
#include "common/tls.h"
#include "common/tool.h"
#include "origin/page.h"
#include "origin/serve.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const char usage[] =
    "usage: origin [options] ADDRESS\n"
    "  --body SIZE         of a response (1KiB); a path /b/N asks for N bytes\n"
    "  --fields N          more response fields\n"
    "  --delay SPAN        between a request and its answer\n"
    "  --delay-path PATH   only where the path begins so\n"
    "  --idle-close SPAN   close connections that are idle for so long\n"
    "  --h2                HTTP/2 only: by ALPN over TLS, else by prior knowledge\n"
    "  --cert, --key FILE  speak TLS with this certificate and its key\n"
    "Counters as JSON on stdout: at SIGUSR1, and at the end (SIGTERM).";

static const struct option long_options[] = {
    { "body", required_argument, NULL, 'b' },
    { "fields", required_argument, NULL, 'f' },
    { "delay", required_argument, NULL, 'd' },
    { "idle-close", required_argument, NULL, 'i' },
    { "delay-path", required_argument, NULL, 'p' },
    { "h2", no_argument, NULL, '2' },
    { "cert", required_argument, NULL, 'c' },
    { "key", required_argument, NULL, 'k' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

static void parse_options(int argc, char **argv, struct serve_config *config)
{
    const char *cert = NULL, *key = NULL;
    uint64_t fields = 0;
    bool good = true;

    for (int o; good && (o = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (o) {
        case 'b':
            good = parse_size(optarg, &config->body);
            break;
        case 'f':
            good = parse_count(optarg, &fields) && fields <= 1000;
            break;
        case 'd':
            good = parse_span(optarg, &config->delay);
            break;
        case 'p':
            config->delayed = optarg;
            break;
        case 'i':
            good = parse_span(optarg, &config->idle_close);
            break;
        case '2':
            config->h2 = true;
            break;
        case 'c':
            cert = optarg;
            break;
        case 'k':
            key = optarg;
            break;
        case 'h':
            puts(usage);
            exit(EXIT_SUCCESS);
        default:
            exit(EXIT_USAGE);
        }
        if (!good)
            die(EXIT_USAGE, "a value that cannot be: %s", optarg);
    }
    if (argc - optind != 1)
        die(EXIT_USAGE, "%s", usage);
    if (config->h2 && (config->delay || config->idle_close || fields))
        die(EXIT_USAGE, "--h2 goes with --body, --cert and --key only");
    if (!cert != !key)
        die(EXIT_USAGE, "--cert and --key go together");
    if (cert)
        config->tls = tls_server(cert, key, config->h2);
    page_setup((unsigned)fields);
}

static void print_counters(void)
{
    const struct serve_counters *n = &serve_counters;

    printf("{\"requests\":%ju,\"refused\":%ju,\"accepted\":%ju,\"resumed\":%ju,\"open\":%ju,"
           "\"closed_idle\":%ju,\"body_in\":%ju,\"body_out\":%ju}\n",
           (uintmax_t)n->requests, (uintmax_t)n->refused, (uintmax_t)n->accepted,
           (uintmax_t)n->resumed, (uintmax_t)n->open, (uintmax_t)n->closed_idle,
           (uintmax_t)n->body_in, (uintmax_t)n->body_out);
    fflush(stdout);
}

static bool on_signal(int fd)
{
    struct signalfd_siginfo info;

    if (read(fd, &info, sizeof(info)) != sizeof(info))
        return true;
    print_counters();
    return info.ssi_signo == SIGUSR1;
}

static int open_signals(void)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        die(EXIT_FAILURE, "signalfd: %s", strerror(errno));
    return fd;
}

int main(int argc, char **argv)
{
    struct serve_config config = { .body = 1024 };
    struct address at;
    char name[ADDRESS_TEXT];
    const char *wrong;
    int listener, signals;

    parse_options(argc, argv, &config);
    wrong = address_parse(argv[optind], &at);
    if (wrong)
        die(EXIT_USAGE, "%s: %s", argv[optind], wrong);
    raise_file_limit(0);
    prctl(PR_SET_TIMERSLACK, 1ul); /* a delay of 25 ms is meant to be 25.0 ms */
    signals = open_signals();
    listener = sock_listen(&at);
    if (listener < 0)
        die(EXIT_FAILURE, "%s: %s", argv[optind], strerror(-listener));
    sock_name(listener, name);
    fprintf(stderr, "listening on %s (%s)\n", name, config.tls ? "https" : "http");
    serve(&config, listener, signals, on_signal);
    return EXIT_SUCCESS;
}
