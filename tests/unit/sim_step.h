/* sim_step.h -- what an actor of the simulation (sim.h) is about to do, told before each step. */
#ifndef TESTS_UNIT_SIM_STEP_H
#define TESTS_UNIT_SIM_STEP_H

#include <stdbool.h>

enum step_op { STEP_LOAD, STEP_STORE, STEP_RMW, STEP_SWITCH, STEP_CALL, STEP_SPIN };

/* The caller is about to do `op` on `at`; somebody else may go on first. */
void step(enum step_op op, const volatile void *at, const char *function);

#endif
