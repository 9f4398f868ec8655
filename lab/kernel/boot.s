# What runs between the boot loader and the kernel: a multiboot header, and the way from 32-bit protected mode to long mode.
# Linked at 0x200000. The host has already built the page tables, and fills in the five values.
  .code32
  .text
  .globl start
  .p2align 4
header:
  .long 0x1badb002, 0x10000, -(0x1badb002 + 0x10000)
  .long 0x200000, 0x200000, 0, 0, 0x200000 + (start - header)   # load address = header address, all of the file, no bss, entry
  .p2align 6
values:                       # at +0x40
cr3_value:   .quad 0
entry_value: .quad 0
stack_value: .quad 0
  .p2align 4
gdt:
  .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00209b0000000000
gdt_pointer:
  .word 31
  .long 0x200000 + (gdt - header)
  .p2align 4
start:
  cli
  lgdt 0x200000 + (gdt_pointer - header)
  mov $0x6a0, %eax            # PAE, PGE, OSFXSR, OSXMMEXCPT
  mov %eax, %cr4
  mov 0x200000 + (cr3_value - header), %eax
  mov %eax, %cr3
  mov $0xc0000080, %ecx       # EFER
  xor %edx, %edx
  mov $0x901, %eax            # SCE, LME, NXE
  wrmsr
  mov $0x80050033, %eax       # PG, AM, WP, NE, ET, MP, PE
  mov %eax, %cr0
  .byte 0xea                  # far jump into the 64-bit segment
  .long 0x200000 + (long_mode - header)
  .word 0x18
  .code64
long_mode:
  xor %eax, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  mov 0x200000 + (stack_value - header), %rsp
  mov 0x200000 + (entry_value - header), %rax
  jmp *%rax
