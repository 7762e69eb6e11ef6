/* weir.h -- write an HTTP proxy. Includes everything, in the order in which one meets it. */
#ifndef WEIR_H
#define WEIR_H

#include <weir/str.h>     /* slices, durations */
#include <weir/server.h>  /* the process */
#include <weir/proxy.h>   /* phases, services */
#include <weir/lb.h>      /* backends */
#include <weir/limits.h>  /* counts by key */
#include <weir/session.h> /* in a phase */
#include <weir/head.h>    /* heads */
#include <weir/body.h>    /* bodies */
#include <weir/fetch.h>   /* other services */
#include <weir/peer.h>    /* where a request goes */
#include <weir/module.h>  /* reusable filters */
#include <weir/error.h>   /* what can go wrong */
#include <weir/runtime.h> /* waiting, streams, concurrency: with HTTP or without */

#endif
