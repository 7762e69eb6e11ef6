/* public.h -- what the calls of <weir/runtime.h> have in common. */
#ifndef RUNTIME_PUBLIC_H
#define RUNTIME_PUBLIC_H

#include "runtime/deadline.h"

/* `timeout` from now, ending with `err`; 0 or less: in the past, so that the call looks once. The
 * limits of the scopes around this coroutine count too, and end with WEIR_ETIMEOUT. By the clock
 * and not by the turn's time: user code may have computed for long. */
struct deadline public_until(weir_dur timeout, int err);

#endif
