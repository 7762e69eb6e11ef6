/* export.h -- seen first by every source of the library (Meson's -include): what the public headers
 * declare is visible from outside, all else is hidden. So the headers themselves stay free of
 * marks. */
#ifndef EXPORT_H
#define EXPORT_H
#ifndef __ASSEMBLER__

#pragma GCC visibility push(default)
#include <weir/weir.h>
#pragma GCC visibility pop

#endif
#endif
