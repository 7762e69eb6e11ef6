/* step.h -- included before anything else into the sources of the runtime that the simulated
 * scheduler runs (sim.h). Each atomic operation first calls step(), which may let another actor go
 * on; so every load and compare-and-swap of the contract can be torn apart, and none can be
 * forgotten, while the product's sources say nothing of it. Between two steps an actor runs alone.
 * The kernel and the clock are simulated too. */
#ifndef TESTS_UNIT_STEP_H
#define TESTS_UNIT_STEP_H

#include <sched.h>
#include <stdatomic.h>

#include "sim_step.h"

#ifdef __clang__
#define RAW_LOAD(p, order)        __c11_atomic_load(p, order)
#define RAW_STORE(p, v, order)    __c11_atomic_store(p, v, order)
#define RAW_EXCHANGE(p, v, order) __c11_atomic_exchange(p, v, order)
#define RAW_CAS(p, want, v, order, failed) \
    __c11_atomic_compare_exchange_strong(p, want, v, order, failed)
#define RAW_ADD(p, v, order) __c11_atomic_fetch_add(p, v, order)
#define RAW_SUB(p, v, order) __c11_atomic_fetch_sub(p, v, order)
#define RAW_OR(p, v, order)  __c11_atomic_fetch_or(p, v, order)
#else
#define RAW_LOAD(p, order)        __atomic_load_n(p, order)
#define RAW_STORE(p, v, order)    __atomic_store_n(p, v, order)
#define RAW_EXCHANGE(p, v, order) __atomic_exchange_n(p, v, order)
#define RAW_CAS(p, want, v, order, failed) \
    __atomic_compare_exchange_n(p, want, v, false, order, failed)
#define RAW_ADD(p, v, order) __atomic_fetch_add(p, v, order)
#define RAW_SUB(p, v, order) __atomic_fetch_sub(p, v, order)
#define RAW_OR(p, v, order)  __atomic_fetch_or(p, v, order)
#endif

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak_explicit
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or

#define atomic_load_explicit(p, order)     (step(STEP_LOAD, p, __func__), RAW_LOAD(p, order))
#define atomic_store_explicit(p, v, order) (step(STEP_STORE, p, __func__), RAW_STORE(p, v, order))
#define atomic_exchange_explicit(p, v, order) \
    (step(STEP_RMW, p, __func__), RAW_EXCHANGE(p, v, order))
#define atomic_compare_exchange_strong_explicit(p, want, v, order, failed) \
    (step(STEP_RMW, p, __func__), RAW_CAS(p, want, v, order, failed))
#define atomic_fetch_add_explicit(p, v, order) (step(STEP_RMW, p, __func__), RAW_ADD(p, v, order))
#define atomic_fetch_sub_explicit(p, v, order) (step(STEP_RMW, p, __func__), RAW_SUB(p, v, order))

#define atomic_compare_exchange_weak_explicit  atomic_compare_exchange_strong_explicit
#define atomic_load(p)                         atomic_load_explicit(p, memory_order_seq_cst)
#define atomic_store(p, v)                     atomic_store_explicit(p, v, memory_order_seq_cst)
#define atomic_exchange(p, v)                  atomic_exchange_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_add(p, v)                 atomic_fetch_add_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_sub(p, v)                 atomic_fetch_sub_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_or(p, v) \
    (step(STEP_RMW, p, __func__), RAW_OR(p, v, memory_order_seq_cst))
#define atomic_compare_exchange_strong(p, want, v) \
    atomic_compare_exchange_strong_explicit(p, want, v, memory_order_seq_cst, memory_order_seq_cst)

#define sched_yield() step(STEP_SPIN, NULL, __func__)

/* Also renamed where the headers declare them: sim.c has these. */
#define clock_now      sim_clock_now
#define fiber_switch   sim_fiber_switch
#define sys_barrier    sim_barrier
#define sys_close      sim_close
#define sys_connect    sim_connect
#define sys_epoll_ctl  sim_epoll_ctl
#define sys_epoll_wait sim_epoll_wait
#define sys_read       sim_read
#define sys_getsockopt sim_getsockopt
#define sys_recv       sim_recv
#define sys_setsockopt sim_setsockopt
#define sys_socket     sim_sys_socket
#define sys_write      sim_write

#endif
