/* version.h -- what this build calls itself. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

/* "0.1.0 (commit 0123456789ab)": the version and the commit it was built from. Static storage. */
extern const char version_text[];

#endif
