/* certs.h -- certificates for a test, in files below a folder of its own: made once, P-256, for
 * `origin.test`, `*.wild.test` and 127.0.0.1, signed by themselves (so each is its own CA). */
#ifndef TESTS_UNIT_CERTS_H
#define TESTS_UNIT_CERTS_H

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cases.h"

static struct {
    char folder[64];
    char cert[96], key[96];             /* a pair */
    char other_cert[96], other_key[96]; /* another one, for the same names */
} certs;

static inline void certs_extend(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

static inline void certs_write(const char *path, X509 *x, EVP_PKEY *key)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(x != NULL ? PEM_write_X509(f, x)
                               : PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL),
                     1);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static inline void certs_pair(const char *cert, const char *key)
{
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);

    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 24L * 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"a test", -1, -1,
                               0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, pair);
    certs_extend(x, NID_subject_alt_name, "DNS:origin.test,DNS:*.wild.test,IP:127.0.0.1");
    assert_true(X509_sign(x, pair, EVP_sha256()) > 0);
    certs_write(cert, x, NULL);
    certs_write(key, NULL, pair);
    X509_free(x);
    EVP_PKEY_free(pair);
}

static inline void certs_path(char out[96], const char *name)
{
    snprintf(out, 96, "%s/%s", certs.folder, name);
}

static inline int certs_make(void **state)
{
    (void)state;
    snprintf(certs.folder, sizeof certs.folder, "/tmp/weir-test-XXXXXX");
    assert_non_null(mkdtemp(certs.folder));
    certs_path(certs.cert, "cert");
    certs_path(certs.key, "key");
    certs_path(certs.other_cert, "other-cert");
    certs_path(certs.other_key, "other-key");
    certs_pair(certs.cert, certs.key);
    certs_pair(certs.other_cert, certs.other_key);
    return 0;
}

static inline int certs_remove(void **state)
{
    (void)state;
    unlink(certs.cert);
    unlink(certs.key);
    unlink(certs.other_cert);
    unlink(certs.other_key);
    return rmdir(certs.folder);
}

#endif
