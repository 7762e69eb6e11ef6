/* fields.c -- see fields.h. */
#include "common/fields.h"

#include "common/tool.h"

/* With Host, the request's lines are 20 fields of about 1 KB together. */
static const char *const request_fields[] = {
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: http://app.example/catalogue/items?page=3&sort=price",
    "Cookie: session=5f0c1c9e8a7b4d6f9b2e3a1c0d8e7f6a; theme=dark; seen=1732352401; ab=control-7",
    "Cache-Control: max-age=0",
    "Pragma: no-cache",
    "Origin: http://app.example",
    "DNT: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-User: ?1",
    "Upgrade-Insecure-Requests: 1",
    "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MjAwMTcifQ.Qm9ndXNTaWduYXR1cmU",
    "X-Request-Id: 7d3c2f0e-4b7a-4f7e-9a55-0c6f2e8d1b34",
    "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "If-None-Match: \"5e2f-61b2c0d4\"",
};

/* With Content-Length and Content-Type, the response's lines are 15 fields. */
static const char *const response_fields[] = {
    "Date: Mon, 23 Nov 2026 09:00:00 GMT",
    "Server: origin",
    "Cache-Control: private, max-age=0, must-revalidate",
    "ETag: \"5e2f-61b2c0d4\"",
    "Last-Modified: Sun, 22 Nov 2026 18:30:12 GMT",
    "Vary: Accept-Encoding, Cookie",
    "Set-Cookie: session=5f0c1c9e8a7b4d6f9b2e3a1c0d8e7f6a; Path=/; HttpOnly; SameSite=Lax",
    "Strict-Transport-Security: max-age=31536000; includeSubDomains",
    "Content-Security-Policy: default-src 'self'; img-src 'self' data:",
    "X-Content-Type-Options: nosniff",
    "X-Frame-Options: DENY",
    "Referrer-Policy: strict-origin-when-cross-origin",
    "X-Request-Id: 7d3c2f0e-4b7a-4f7e-9a55-0c6f2e8d1b34",
};

static const struct {
    const char *const *lines;
    unsigned count;
} tables[] = {
    [FIELDS_REQUEST] = { request_fields, ARRAY_LEN(request_fields) },
    [FIELDS_RESPONSE] = { response_fields, ARRAY_LEN(response_fields) },
};
_Static_assert(ARRAY_LEN(tables) == FIELDS_KINDS, "every kind has a table");

void fields_write(FILE *out, enum fields_kind kind, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (i < tables[kind].count)
            fprintf(out, "%s\r\n", tables[kind].lines[i]);
        else
            fprintf(out, "x-bench-%u: %016x\r\n", i, i * 2654435761u);
    }
}
