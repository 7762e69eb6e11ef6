/* switch_x86_64.S -- the bare switch (switch.h) for x86-64, System V ABI.
 *
 * The callee-saved registers go on the stack that is left, the stack pointer changes, and they come
 * from the other one. mxcsr and the x87 control word are not saved: nobody here changes them.
 *
 * It returns by `pop; jmp`: a `ret` to an address that no `call` of this stack pushed is always
 * mispredicted. A shadow stack would not allow it, so this file carries no SHSTK (nor IBT) property
 * and the linker leaves it off for whoever links us. */
    .text

/* void switch_stacks(void **from, void *to) */
    .globl  switch_stacks
    .hidden switch_stacks
    .type   switch_stacks, @function
    .p2align 4
switch_stacks:
    .cfi_startproc
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    pushq   %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r12, 0
    pushq   %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r13, 0
    pushq   %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r14, 0
    pushq   %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r15, 0
    movq    %rsp, (%rdi)
    movq    %rsi, %rsp          /* the same frame, of the other stack: the CFI stays true */
    popq    %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r15
    popq    %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r14
    popq    %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r13
    popq    %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r12
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    popq    %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbp
    popq    %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register %rip, %rcx
    jmpq    *%rcx
    .cfi_endproc
    .size   switch_stacks, . - switch_stacks

/* void *switch_prepare(struct fiber_start *start): the frame that switch_stacks takes off; rbx
 * brings `start`, and rbp = 0 ends the chain of frame pointers. */
    .globl  switch_prepare
    .hidden switch_prepare
    .type   switch_prepare, @function
    .p2align 4
switch_prepare:
    .cfi_startproc
    leaq    -56(%rdi), %rax
    leaq    fiber_first(%rip), %rcx
    movq    $0, (%rax)          /* r15 */
    movq    $0, 8(%rax)         /* r14 */
    movq    $0, 16(%rax)        /* r13 */
    movq    $0, 24(%rax)        /* r12 */
    movq    %rdi, 32(%rax)      /* rbx */
    movq    $0, 40(%rax)        /* rbp */
    movq    %rcx, 48(%rax)      /* where it continues, with rsp = start: 16-aligned for the call */
    ret
    .cfi_endproc
    .size   switch_prepare, . - switch_prepare

/* The first frame of a fiber. Its return address is undefined: backtraces stop here. */
    .type   fiber_first, @function
    .p2align 4
fiber_first:
    .cfi_startproc
    .cfi_undefined %rip
    movq    %rbx, %rdi
    call    fiber_enter
    ud2
    .cfi_endproc
    .size   fiber_first, . - fiber_first

    .section .note.GNU-stack, "", @progbits
