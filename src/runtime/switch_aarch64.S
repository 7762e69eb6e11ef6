/* switch_aarch64.S -- the bare switch (switch.h) for AArch64, AAPCS64.
 *
 * x19 to x30 and the low halves of v8 to v15 go on the stack that is left, the stack pointer
 * changes, and they come from the other one. fpcr is not saved: nobody here changes it.
 *
 * It returns by `br`, as a `ret` to an address that no `bl` of this stack made is mispredicted.
 * Where it arrives there is an ordinary call without `bti j` (but for fiber_first), so this file
 * carries no BTI property and the linker leaves it off for whoever links us. Hints are no-ops
 * elsewhere. */
    .text

#define BTI_C hint #34
#define BTI_J hint #36

/* void switch_stacks(void **from, void *to) */
    .globl  switch_stacks
    .hidden switch_stacks
    .type   switch_stacks, %function
    .p2align 4
switch_stacks:
    .cfi_startproc
    BTI_C
    sub     sp, sp, #160
    .cfi_adjust_cfa_offset 160
    stp     x19, x20, [sp]
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    .cfi_rel_offset x29, 80
    .cfi_rel_offset x30, 88
    stp     d8, d9, [sp, #96]
    stp     d10, d11, [sp, #112]
    stp     d12, d13, [sp, #128]
    stp     d14, d15, [sp, #144]
    mov     x9, sp
    str     x9, [x0]
    mov     sp, x1              /* the same frame, of the other stack: the CFI stays true */
    ldp     x19, x20, [sp]
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     d8, d9, [sp, #96]
    ldp     d10, d11, [sp, #112]
    ldp     d12, d13, [sp, #128]
    ldp     d14, d15, [sp, #144]
    add     sp, sp, #160
    .cfi_adjust_cfa_offset -160
    .cfi_restore x29
    .cfi_restore x30
    br      x30
    .cfi_endproc
    .size   switch_stacks, . - switch_stacks

/* void *switch_prepare(struct fiber_start *start): the frame that switch_stacks takes off; x19
 * brings `start`, and x29 = 0 ends the chain of frame pointers. */
    .globl  switch_prepare
    .hidden switch_prepare
    .type   switch_prepare, %function
    .p2align 4
switch_prepare:
    .cfi_startproc
    BTI_C
    sub     x9, x0, #160
    adr     x10, fiber_first
    stp     x0, xzr, [x9]
    stp     xzr, xzr, [x9, #16]
    stp     xzr, xzr, [x9, #32]
    stp     xzr, xzr, [x9, #48]
    stp     xzr, xzr, [x9, #64]
    stp     xzr, x10, [x9, #80] /* x29, x30 */
    stp     xzr, xzr, [x9, #96]
    stp     xzr, xzr, [x9, #112]
    stp     xzr, xzr, [x9, #128]
    stp     xzr, xzr, [x9, #144]
    mov     x0, x9
    ret
    .cfi_endproc
    .size   switch_prepare, . - switch_prepare

/* The first frame of a fiber. Its return address is undefined: backtraces stop here. */
    .type   fiber_first, %function
    .p2align 4
fiber_first:
    .cfi_startproc
    .cfi_undefined x30
    BTI_J
    mov     x0, x19
    bl      fiber_enter
    brk     #1
    .cfi_endproc
    .size   fiber_first, . - fiber_first

    .section .note.GNU-stack, "", %progbits
