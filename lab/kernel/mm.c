// Memory: pages come from the range the host left free; page tables are reached through the self-map, as in Windows 7 to 10.
#include "ke.h"

#define PTE_BASE 0xfffff68000000000ull
#define PTE_VALID 1ull
#define PTE_WRITE 2ull
#define PTE_KERNEL_DATA 0x8000000000000063ull
#define FRAME_MASK 0x000ffffffffff000ull

static ULONG64 MiNextFreePage;
static ULONG MiStacks;

VOID MmInitialize(void) { MiNextFreePage = KiBootBlock.FreePages; }

ULONG64 *MiGetPteAddress(ULONG64 Address) { return (ULONG64 *)(PTE_BASE + (Address >> 9 & 0x7ffffffff8ull)); }

static BOOLEAN MiIsTablePresent(ULONG64 Address) {
    for (ULONG Level = 4; Level > 1; Level--) {
        ULONG64 At = Address;
        for (ULONG I = 0; I < Level; I++) At = (ULONG64)MiGetPteAddress(At);
        if (!(*(ULONG64 *)At & PTE_VALID)) return FALSE;
    }
    return TRUE;
}

ULONG64 MiGetPhysicalAddress(PVOID Address) {
    return (*MiGetPteAddress((ULONG64)Address) & FRAME_MASK) | ((ULONG64)Address & 0xfff);
}

PVOID MiMapPages(ULONG64 Address, ULONG64 Pages) {
    for (ULONG64 I = 0; I < Pages; I++) *MiGetPteAddress(Address + I * 0x1000) = MiNextFreePage++ << 12 | PTE_KERNEL_DATA;
    return (PVOID)Address;
}

VOID MiUnmapPages(ULONG64 Address, ULONG64 Pages) {
    for (ULONG64 I = 0; I < Pages; I++) {
        *MiGetPteAddress(Address + I * 0x1000) = 0;
        __asm__ volatile("invlpg (%0)" ::"r"(Address + I * 0x1000) : "memory");
    }
}

// A kernel stack with an unmapped guard page below it. Returns its base, the highest address.
ULONG64 MmCreateKernelStack(void) {
    ULONG64 Limit = MM_STACKS_BASE + MiStacks++ * (KERNEL_STACK_SIZE + 0x2000) + 0x1000;
    MiMapPages(Limit, KERNEL_STACK_SIZE / 0x1000);
    return Limit + KERNEL_STACK_SIZE;
}

static BOOLEAN MiIsCanonical(ULONG64 Address) { return (ULONG64)((LONGLONG)(Address << 16) >> 16) == Address; }

// A page fault's error code: 1 the page is present, 2 write, 0x10 instruction fetch.
VOID MmAccessFault(KTRAP_FRAME *TrapFrame) {
    ULONG64 Address = TrapFrame->FaultAddress, Error = TrapFrame->ErrorCode;
    BOOLEAN Write = (Error & 2) != 0, Fetch = (Error & 0x10) != 0;
    ULONG64 Operation = Write ? 1 : Fetch ? 8 : 0;
    if (TrapFrame->PreviousIrql >= DISPATCH_LEVEL) KiBugCheckDispatch(0xa, Address, TrapFrame->PreviousIrql, Operation, TrapFrame->Rip);
    if (Address < 0x800000000000ull || !MiIsCanonical(Address)) {
        KiExceptionDispatch(STATUS_ACCESS_VIOLATION, 2, TrapFrame->Rip, Operation, Address, TrapFrame);
    }
    if (MiIsTablePresent(Address)) {
        ULONG64 Pte = *MiGetPteAddress(Address);
        if (Pte & PTE_VALID && Fetch) KeBugCheckEx(0xfc, Address, Pte, (ULONG64)TrapFrame, 2);
        if (Pte & PTE_VALID && Write && !(Pte & PTE_WRITE)) KeBugCheckEx(0xbe, Address, Pte, (ULONG64)TrapFrame, 0xa);
    }
    KeBugCheckEx(0x50, Address, Write ? 2 : Fetch ? 0x10 : 0, TrapFrame->Rip, 2);
}
