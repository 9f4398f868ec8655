// The end of every story.
#include "ke.h"

NTKERNELAPI ULONG64 KiBugCheckData[5];
// The true stack, walked by the kernel itself from the moment of the bug check; the host writes it into the truth file.
NTKERNELAPI ULONG64 LabTrueStack[64];

static VOID KiSaveSpecialRegisters(KSPECIAL_REGISTERS *S) {
    ULONG64 Value;
    __asm__ volatile("movq %%cr0,%0" : "=r"(Value));
    S->Cr0 = Value;
    __asm__ volatile("movq %%cr2,%0" : "=r"(Value));
    S->Cr2 = Value;
    __asm__ volatile("movq %%cr3,%0" : "=r"(Value));
    S->Cr3 = Value;
    __asm__ volatile("movq %%cr4,%0" : "=r"(Value));
    S->Cr4 = Value;
    S->Cr8 = KeGetPcr()->Irql;
    S->Gdtr.Base = Gdt;
    S->Gdtr.Limit = sizeof Gdt - 1;
    S->Idtr.Base = Idt;
    S->Idtr.Limit = sizeof Idt - 1;
    S->Tr = KGDT64_SYS_TSS;
    S->MsrGsBase = (ULONG64)KeGetPcr();
    S->MsrLStar = (ULONG64)KiSystemCall64;
}

// Drivers that were unloaded and drivers at fault have bug checks of their own.
static ULONG KiRefineCode(ULONG Code, ULONG64 Parameters[4]) {
    if (Code != 0xa && Code != 0x50) return Code;
    ULONG64 Rip = Parameters[Code == 0xa ? 3 : 2], Operation = Parameters[Code == 0xa ? 2 : 1];
    if (MiLocateUnloadedDriver(Rip) || MiLocateUnloadedDriver(Parameters[0])) {
        Parameters[1] = Operation;
        Parameters[2] = Rip;
        Parameters[3] = 0;
        return 0xce;
    }
    KLDR_DATA_TABLE_ENTRY *Module = MiLookupDataTableEntry(Rip);
    if (Code == 0xa && Module && Module->DllBase != (PVOID)KiBootBlock.Modules[0].Base) return 0xd1;
    return Code;
}

static VOID KiWalkTrueStack(CONTEXT *Context) {
    CONTEXT Walk = *Context;
    for (ULONG I = 0; I < 64 && Walk.Rip >= 0x1000; I++) {
        LabTrueStack[I] = Walk.Rip;
        if (Walk.Rip < 0x800000000000ull) break;
        ULONG64 Base, Frame;
        PVOID Data;
        RUNTIME_FUNCTION *Function = RtlLookupFunctionEntry(Walk.Rip, &Base);
        // No code there: a call went astray, and its return address is on top.
        if (Function && I > 0) {
            RtlVirtualUnwind(Base, Walk.Rip, Function, &Walk, &Data, &Frame);
        } else {
            Walk.Rip = *(ULONG64 *)Walk.Rsp;
            Walk.Rsp += 8;
        }
    }
}

DECLSPEC_NOINLINE VOID KeBugCheck2(ULONG Code, ULONG64 P1, ULONG64 P2, ULONG64 P3, ULONG64 P4, CONTEXT *Context) {
    ULONG64 Parameters[4] = {P1, P2, P3, P4};
    KiBugCheckData[0] = KiRefineCode(Code, Parameters);
    for (ULONG I = 0; I < 4; I++) KiBugCheckData[I + 1] = Parameters[I];
    KiSaveSpecialRegisters((KSPECIAL_REGISTERS *)&KeGetCurrentPrcb()->ProcessorState.SpecialRegisters);
    KiWalkTrueStack(Context);
    DbgPrint("bug check\n");
    // The panic device stops the machine; the host reads its memory.
    for (;;) __asm__ volatile("outb %0,%1\n cli\n hlt" ::"a"((UCHAR)1), "Nd"((USHORT)0x505));
}
