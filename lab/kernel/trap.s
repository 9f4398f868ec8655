# Trap and system call entry. Every trap builds a KTRAP_FRAME and tells with unwind data where the interrupted registers are.
  .text

  .macro FUNCTION name
  .globl \name
  .def \name; .scl 2; .type 32; .endef
  .p2align 4
\name:
  .seh_proc \name
  .endm

  # rbp points 0x80 bytes into the trap frame, as in Windows.
  .macro SAVE_VOLATILE
  movb $1, -0x55(%rbp)        # ExceptionActive
  mov %rax, -0x50(%rbp)
  mov %rcx, -0x48(%rbp)
  mov %rdx, -0x40(%rbp)
  mov %r8, -0x38(%rbp)
  mov %r9, -0x30(%rbp)
  mov %r10, -0x28(%rbp)
  mov %r11, -0x20(%rbp)
  movb $0, -0x58(%rbp)        # PreviousMode
  testb $1, 0xf0(%rbp)        # interrupted code segment
  jz 1f
  swapgs
  movb $1, -0x58(%rbp)
1:
  stmxcsr -0x54(%rbp)
  movaps %xmm0, -0x10(%rbp)
  movaps %xmm1, 0x00(%rbp)
  movaps %xmm2, 0x10(%rbp)
  movaps %xmm3, 0x20(%rbp)
  movaps %xmm4, 0x30(%rbp)
  movaps %xmm5, 0x40(%rbp)
  mov %gs:0x50, %al
  mov %al, -0x57(%rbp)        # PreviousIrql
  mov %cr2, %rax
  mov %rax, 0x50(%rbp)        # FaultAddress
  .endm

  .macro TRAP name, has_error_code, handler, vector
  FUNCTION \name
  .if \has_error_code
  .seh_pushframe @code
  .else
  .seh_pushframe
  sub $8, %rsp
  .seh_stackalloc 8
  .endif
  push %rbp
  .seh_pushreg %rbp
  sub $0x158, %rsp
  .seh_stackalloc 0x158
  lea 0x80(%rsp), %rbp
  .seh_setframe %rbp, 0x80
  .seh_endprologue
  SAVE_VOLATILE
  lea -0x80(%rbp), %rcx
  mov $\vector, %edx
  call \handler
  testb $1, 0xf0(%rbp)
  jz 2f
  swapgs
2:
  mov -0x50(%rbp), %rax
  mov -0x48(%rbp), %rcx
  mov -0x40(%rbp), %rdx
  mov -0x38(%rbp), %r8
  mov -0x30(%rbp), %r9
  mov -0x28(%rbp), %r10
  mov -0x20(%rbp), %r11
  mov %rbp, %rsp
  mov 0xd8(%rbp), %rbp
  add $0xe8, %rsp
  iretq
  .seh_endproc
  .endm

  TRAP KiDivideErrorFault 0 KiTrapHandler 0
  TRAP KiNmiInterrupt 0 KiTrapHandler 2
  TRAP KiBreakpointTrap 0 KiTrapHandler 3
  TRAP KiInvalidOpcodeFault 0 KiTrapHandler 6
  TRAP KiDoubleFaultAbort 1 KiTrapHandler 8
  TRAP KiGeneralProtectionFault 1 KiTrapHandler 13
  TRAP KiPageFault 1 KiPageFaultHandler 14
  TRAP KiRaiseSecurityCheckFailure 0 KiSecurityCheckHandler 0x29

  # A system call: number in eax, arguments in r10, rdx.
  FUNCTION KiSystemCall64
  .seh_handler KiSystemServiceHandler, @except
  .seh_pushframe
  .seh_stackalloc 8
  .seh_pushreg %rbp
  .seh_stackalloc 0x158
  .seh_setframe %rbp, 0x80
  swapgs
  mov %rsp, %gs:0x10          # UserRsp
  mov %gs:0x1a8, %rsp         # RspBase
  push $0x2b
  push %gs:0x10
  push %r11
  push $0x33
  push %rcx
  mov %r10, %rcx
  sub $8, %rsp
  push %rbp
  sub $0x158, %rsp
  lea 0x80(%rsp), %rbp
  .seh_endprologue
  mov %rbx, 0xc0(%rbp)
  mov %rdi, 0xc8(%rbp)
  mov %rsi, 0xd0(%rbp)
  movb $2, -0x55(%rbp)        # ExceptionActive: a system service
  movb $1, -0x58(%rbp)        # PreviousMode
  stmxcsr -0x54(%rbp)
  mov %gs:0x188, %rbx         # CurrentThread
  mov %eax, 0x80(%rbx)        # SystemCallNumber
  lea -0x80(%rbp), %rsi
  mov %rsi, 0x90(%rbx)        # TrapFrame
  sub $0x20, %rsp
  cmp $7, %eax
  jne 1f
  .globl KiSystemServiceCopyEnd
KiSystemServiceCopyEnd:
  call NtDeviceIoControlFile
  jmp 2f
1:
  call NtTerminateThread
2:
  lea -0x80(%rbp), %rsp
  mov 0xc0(%rbp), %rbx
  mov 0xc8(%rbp), %rdi
  mov 0xd0(%rbp), %rsi
  mov 0xe8(%rbp), %rcx
  mov 0xf8(%rbp), %r11
  mov 0x100(%rbp), %r9
  mov 0xd8(%rbp), %rbp
  mov %r9, %rsp
  swapgs
  sysretq
  .seh_endproc

  # The first user instructions a thread runs are reached by an interrupt return.
  FUNCTION KiStartUserThread
  .seh_endprologue
  pushq $0x2b
  pushq %rdx
  pushq $0x202
  pushq $0x33
  pushq %rcx
  xor %ebp, %ebp
  swapgs
  iretq
  .seh_endproc

  # The program that user threads run: a request to every device in turn, then the end. Copied to a user page.
  .section .rdata,"dr"
  .globl KiUserProgram, KiUserProgramEnd
  .p2align 4
KiUserProgram:
  xor %esi, %esi
1:
  inc %esi
  mov %rsi, %r10              # handle
  mov $0x222400, %edx         # control code
  mov $7, %eax                # NtDeviceIoControlFile
  syscall
  cmp $0xc0000008, %eax       # no such handle
  jne 1b
  mov $0x53, %eax             # NtTerminateThread
  syscall
KiUserProgramEnd:
  .p2align 4
