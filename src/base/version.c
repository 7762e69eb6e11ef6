/* version.c -- the one file that knows the commit, so that a new commit recompiles only it. */
#include "base/version.h"

#include "base/commit.h"

const char version_text[] = WEIR_VERSION " (commit " WEIR_COMMIT ")";
