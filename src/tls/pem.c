/* pem.c -- certificates and keys from files. Whoever set up a server reads these words, so each
 * mistake that is easily made has its own. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tls/parts.h"

/* What others may do with a key file: nothing, but a group may read it (as `ssl-cert` does). */
static int check_mode(const char *path, char *why)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return tls_fault(why, WEIR_EINVALID, "%s: %m", path);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return tls_fault(why, WEIR_EINVALID, "%s: others may write this key (chmod go-w)", path);
    if (st.st_mode & S_IROTH)
        return tls_fault(why, WEIR_EINVALID, "%s: everybody may read this key (chmod o-r)", path);
    return 0;
}

static int open_pem(const char *path, BIO **out, char *why)
{
    FILE *f = fopen(path, "re");
    struct stat st;
    int rc = 0;

    if (f == NULL)
        return tls_fault(why, WEIR_EINVALID, "%s: %m", path);
    if (fstat(fileno(f), &st) != 0)
        rc = tls_fault(why, WEIR_EINVALID, "%s: %m", path);
    else if (S_ISDIR(st.st_mode))
        rc = tls_fault(why, WEIR_EINVALID, "%s: it is a folder", path);
    else if (S_ISREG(st.st_mode) && st.st_size == 0)
        rc = tls_fault(why, WEIR_EINVALID, "%s: the file is empty", path);
    *out = rc == 0 ? BIO_new_fp(f, BIO_CLOSE) : NULL;
    if (*out != NULL)
        return 0;
    fclose(f);
    return rc < 0 ? rc : WEIR_ENOMEM;
}

/* No passphrases: a server starts unattended. */
static int no_passphrase(char *buf, int size, int writing, void *asked)
{
    (void)buf;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

/* Has reading ended because there is nothing more in the file? */
static bool at_end(void)
{
    unsigned long err = ERR_peek_last_error();

    return ERR_GET_LIB(err) == ERR_LIB_PEM && ERR_GET_REASON(err) == PEM_R_NO_START_LINE;
}

/* All certificates of a file, in order. */
static int read_certs(const char *path, STACK_OF(X509) * to, char *why)
{
    bool asked = false;
    X509 *cert;
    BIO *in;

    TRY(open_pem(path, &in, why));
    ERR_clear_error();
    while ((cert = PEM_read_bio_X509_AUX(in, NULL, no_passphrase, &asked)) != NULL) {
        if (sk_X509_push(to, cert) == 0) {
            X509_free(cert);
            BIO_free(in);
            return WEIR_ENOMEM;
        }
    }
    BIO_free(in);
    if (!at_end())
        return tls_fault(why, WEIR_EINVALID, "%s: malformed certificate (%s)", path,
                         policy_error());
    ERR_clear_error();
    if (sk_X509_num(to) == 0)
        return tls_fault(why, WEIR_EINVALID, "%s: no certificate in it (PEM is expected)", path);
    return 0;
}

/* Is there anything in the file that calls itself a private key? */
static bool has_key(const char *path)
{
    BIO *in = BIO_new_file(path, "r");
    bool found = false;
    char *name, *header;
    unsigned char *data;
    long len;

    while (in != NULL && !found && PEM_read_bio(in, &name, &header, &data, &len) == 1) {
        found = strstr(name, "PRIVATE KEY") != NULL;
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, (size_t)len);
    }
    BIO_free(in);
    return found;
}

static const char *key_fault(const char *path, bool asked)
{
    if (asked)
        return "the key is encrypted, and nobody is there to type its passphrase "
               "(openssl pkey -in FILE -out PLAIN)";
    return has_key(path) ? "malformed key" : "no private key in it (PEM is expected)";
}

static int read_key(const char *path, bool shared, EVP_PKEY **out, char *why)
{
    bool asked = false;
    BIO *in;

    TRY(open_pem(path, &in, why));
    ERR_clear_error();
    *out = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, &asked);
    BIO_free(in);
    if (*out != NULL)
        return shared ? 0 : check_mode(path, why);
    tls_fault(why, 0, "%s: %s", path, key_fault(path, asked));
    ERR_clear_error();
    return WEIR_EINVALID;
}

int pem_read_pair(const char *cert, const char *key, bool shared_key, struct pem_pair *out,
                  char why[TLS_WHY])
{
    int rc;

    *out = (struct pem_pair){ .chain = sk_X509_new_null() };
    if (out->chain == NULL)
        return WEIR_ENOMEM;
    if (key == NULL)
        key = cert;
    rc = read_certs(cert, out->chain, why);
    if (rc == 0)
        rc = read_key(key, shared_key, &out->key, why);
    if (rc == 0) {
        out->cert = sk_X509_shift(out->chain);
        if (X509_check_private_key(out->cert, out->key) != 1)
            rc =
                tls_fault(why, WEIR_EINVALID,
                          "%s: this key does not belong to the first certificate in %s", key, cert);
        ERR_clear_error();
    }
    if (rc < 0)
        pem_pair_done(out);
    return rc;
}

void pem_pair_done(struct pem_pair *pair)
{
    X509_free(pair->cert);
    EVP_PKEY_free(pair->key);
    sk_X509_pop_free(pair->chain, X509_free);
    *pair = (struct pem_pair){ .cert = NULL };
}

int pem_use_pair(SSL_CTX *ctx, const struct pem_pair *pair, const char *cert, char why[TLS_WHY])
{
    ERR_clear_error();
    if (SSL_CTX_use_cert_and_key(ctx, pair->cert, pair->key, pair->chain, 1) == 1)
        return 0;
    return tls_fault(why, WEIR_EINVALID, "%s: %s", cert, policy_error());
}

int pem_read_store(const char *path, X509_STORE *store, char why[TLS_WHY])
{
    STACK_OF(X509) *certs = sk_X509_new_null();
    int rc = certs != NULL ? read_certs(path, certs, why) : WEIR_ENOMEM;

    for (int i = 0; rc == 0 && i < sk_X509_num(certs); i++)
        if (X509_STORE_add_cert(store, sk_X509_value(certs, i)) != 1)
            rc = WEIR_ENOMEM;
    sk_X509_pop_free(certs, X509_free);
    return rc;
}
