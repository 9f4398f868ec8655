# Saving and changing contexts.
  .text

  .macro FUNCTION name
  .globl \name
  .def \name; .scl 2; .type 32; .endef
  .p2align 4
\name:
  .seh_proc \name
  .endm

  # A KEXCEPTION_FRAME at the bottom of a frame of \size bytes holds the registers that calls preserve.
  .macro SAVE_NONVOLATILE size
  sub $\size, %rsp
  .seh_stackalloc \size
  mov %rbp, 0xf8(%rsp)
  .seh_savereg %rbp, 0xf8
  mov %rbx, 0x100(%rsp)
  .seh_savereg %rbx, 0x100
  mov %rdi, 0x108(%rsp)
  .seh_savereg %rdi, 0x108
  mov %rsi, 0x110(%rsp)
  .seh_savereg %rsi, 0x110
  mov %r12, 0x118(%rsp)
  .seh_savereg %r12, 0x118
  mov %r13, 0x120(%rsp)
  .seh_savereg %r13, 0x120
  mov %r14, 0x128(%rsp)
  .seh_savereg %r14, 0x128
  mov %r15, 0x130(%rsp)
  .seh_savereg %r15, 0x130
  .seh_endprologue
  .endm

  # KiBugCheckDispatch(code, P1, P2, P3, P4)
  FUNCTION KiBugCheckDispatch
  SAVE_NONVOLATILE 0x138
  mov 0x160(%rsp), %rax
  mov %rax, 0x20(%rsp)
  call KeBugCheckEx
  nop
  .seh_endproc

  # KiExceptionDispatch(code, count, address, P1, P2, trap frame): the exception record lies behind the exception frame.
  FUNCTION KiExceptionDispatch
  SAVE_NONVOLATILE 0x1d8
  mov 0x200(%rsp), %rax
  lea 0x138(%rsp), %r10
  mov %ecx, (%r10)
  movl $0, 4(%r10)
  movq $0, 8(%r10)
  mov %r8, 0x10(%r10)
  mov %edx, 0x18(%r10)
  mov %r9, 0x20(%r10)
  mov %rax, 0x28(%r10)
  mov %r10, %rcx
  mov %rsp, %rdx
  mov 0x208(%rsp), %r8
  xor %r9d, %r9d
  movb $1, 0x20(%rsp)
  call KiDispatchException
  nop
  .seh_endproc

  # Records the caller's state, and calls KeBugCheck2(code, P1, P2, P3, P4, context).
  FUNCTION KeBugCheckEx
  mov %rcx, 8(%rsp)
  mov %rdx, 0x10(%rsp)
  mov %r8, 0x18(%rsp)
  mov %r9, 0x20(%rsp)
  pushfq
  .seh_stackalloc 8
  sub $0x30, %rsp
  .seh_stackalloc 0x30
  .seh_endprologue
  cli
  mov %gs:0x20, %rcx
  add $0x1f0, %rcx            # Prcb.ProcessorState.ContextFrame
  call RtlCaptureContext
  mov %gs:0x20, %r10
  add $0x1f0, %r10
  mov 0x40(%rsp), %rcx
  mov 0x48(%rsp), %rdx
  mov 0x50(%rsp), %r8
  mov 0x58(%rsp), %r9
  mov %rcx, 0x80(%r10)
  mov %rdx, 0x88(%r10)
  mov %r8, 0xb8(%r10)
  mov %r9, 0xc0(%r10)
  lea 0x38(%rsp), %rax        # where the return address lies: the state at the first instruction
  mov %rax, 0x98(%r10)
  lea KeBugCheckEx(%rip), %rax
  mov %rax, 0xf8(%r10)
  mov 0x30(%rsp), %eax
  mov %eax, 0x44(%r10)
  mov %r10, 0x28(%rsp)
  mov 0x60(%rsp), %rax
  mov %rax, 0x20(%rsp)
  call KeBugCheck2
  nop
  .seh_endproc

  FUNCTION RtlCaptureContext
  pushfq
  .seh_stackalloc 8
  .seh_endprologue
  mov %rax, 0x78(%rcx)
  mov %rcx, 0x80(%rcx)
  mov %rdx, 0x88(%rcx)
  mov %rbx, 0x90(%rcx)
  lea 0x10(%rsp), %rax
  mov %rax, 0x98(%rcx)
  mov %rbp, 0xa0(%rcx)
  mov %rsi, 0xa8(%rcx)
  mov %rdi, 0xb0(%rcx)
  mov %r8, 0xb8(%rcx)
  mov %r9, 0xc0(%rcx)
  mov %r10, 0xc8(%rcx)
  mov %r11, 0xd0(%rcx)
  mov %r12, 0xd8(%rcx)
  mov %r13, 0xe0(%rcx)
  mov %r14, 0xe8(%rcx)
  mov %r15, 0xf0(%rcx)
  mov 8(%rsp), %rax
  mov %rax, 0xf8(%rcx)
  mov (%rsp), %eax
  mov %eax, 0x44(%rcx)
  movl $0x10000f, 0x30(%rcx)  # control, integer, segments, floating point
  mov %cs, 0x38(%rcx)
  mov %ds, 0x3a(%rcx)
  mov %es, 0x3c(%rcx)
  mov %fs, 0x3e(%rcx)
  mov %gs, 0x40(%rcx)
  mov %ss, 0x42(%rcx)
  fxsave 0x100(%rcx)
  stmxcsr 0x34(%rcx)
  mov 0x78(%rcx), %rax
  popfq
  ret
  .seh_endproc

  # Calls handler(record, frame, context, dispatcher context) where the stack shows that a handler runs.
  FUNCTION RtlpExecuteHandlerForException
  sub $0x28, %rsp
  .seh_stackalloc 0x28
  .seh_endprologue
  mov 0x50(%rsp), %rax
  call *%rax
  nop
  add $0x28, %rsp
  ret
  .seh_endproc

  # KiSwapContext(where to keep this stack, the other stack)
  FUNCTION KiSwapContext
  push %rbp
  .seh_pushreg %rbp
  push %rbx
  .seh_pushreg %rbx
  push %rdi
  .seh_pushreg %rdi
  push %rsi
  .seh_pushreg %rsi
  push %r12
  .seh_pushreg %r12
  push %r13
  .seh_pushreg %r13
  push %r14
  .seh_pushreg %r14
  push %r15
  .seh_pushreg %r15
  .seh_endprologue
  mov %rsp, (%rcx)
  mov %rdx, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rsi
  pop %rdi
  pop %rbx
  pop %rbp
  ret
  .seh_endproc

  # Where a new thread begins, with its routine in r15 and the routine's argument in r14. Nothing lies above.
  FUNCTION KiStartSystemThread
  sub $0x28, %rsp
  .seh_stackalloc 0x28
  .seh_endprologue
  mov %r14, %rcx
  call *%r15
  nop
  .seh_endproc
