// The first processor's first steps: descriptor tables, the processor's control region, the first thread.
#include "ke.h"

NTKERNELAPI volatile LAB_BOOT_BLOCK KiBootBlock = {.Magic = 0x4b434f4c4254424cull};
NTKERNELAPI KPCR KiInitialPCR;
__attribute__((aligned(16))) ULONG64 Gdt[16], Idt[512];
__attribute__((aligned(16))) UCHAR KiTss[0x68];
__attribute__((aligned(4096))) UCHAR KiDoubleFaultStack[KERNEL_STACK_SIZE], KiNmiStack[KERNEL_STACK_SIZE];

static VOID WriteMsr(ULONG Register, ULONG64 Value) {
    __asm__ volatile("wrmsr" ::"c"(Register), "a"((ULONG)Value), "d"((ULONG)(Value >> 32)));
}

static VOID SetGate(ULONG Vector, VOID (*Handler)(void), ULONG Stack, ULONG Ring) {
    ULONG64 A = (ULONG64)Handler;
    ULONG64 Type = 0x8e | Ring << 5;
    Idt[Vector * 2] = (A & 0xffff) | (ULONG64)KGDT64_R0_CODE << 16 | (ULONG64)Stack << 32 | Type << 40 | (A >> 16 & 0xffff) << 48;
    Idt[Vector * 2 + 1] = A >> 32;
}

static VOID KiInitializeDescriptors(void) {
    ULONG64 Tss = (ULONG64)KiTss;
    Gdt[2] = 0x00209b0000000000ull; // 0x10 kernel code
    Gdt[3] = 0x00cf93000000ffffull; // 0x18 kernel data
    Gdt[4] = 0x00cffb000000ffffull; // 0x20 32-bit user code
    Gdt[5] = 0x00cff3000000ffffull; // 0x28 user data
    Gdt[6] = 0x0020fb0000000000ull; // 0x30 user code
    Gdt[8] = 0x67 | (Tss & 0xffffff) << 16 | 0x89ull << 40 | (Tss >> 24 & 0xff) << 56;
    Gdt[9] = Tss >> 32;
    *(ULONG64 *)(KiTss + 0x04) = KiBootBlock.StackBase;                               // ring 0 stack
    *(ULONG64 *)(KiTss + 0x24) = (ULONG64)(KiDoubleFaultStack + KERNEL_STACK_SIZE);   // interrupt stack 1
    *(ULONG64 *)(KiTss + 0x2c) = (ULONG64)(KiNmiStack + KERNEL_STACK_SIZE);           // interrupt stack 2
    *(USHORT *)(KiTss + 0x66) = sizeof KiTss;
    SetGate(0, KiDivideErrorFault, 0, 0);
    SetGate(2, KiNmiInterrupt, 2, 0);
    SetGate(3, KiBreakpointTrap, 0, 3);
    SetGate(6, KiInvalidOpcodeFault, 0, 0);
    SetGate(8, KiDoubleFaultAbort, 1, 0);
    SetGate(13, KiGeneralProtectionFault, 0, 0);
    SetGate(14, KiPageFault, 0, 0);
    SetGate(0x29, KiRaiseSecurityCheckFailure, 0, 3);
    struct __attribute__((packed)) {
        USHORT Limit;
        PVOID Base;
    } GdtPointer = {sizeof Gdt - 1, Gdt}, IdtPointer = {sizeof Idt - 1, Idt};
    __asm__ volatile("lgdt %0\n lidt %1\n"
                     "pushq $0x10\n leaq 1f(%%rip),%%rax\n pushq %%rax\n lretq\n"
                     "1: movw $0x18,%%ax\n movw %%ax,%%ss\n movw $0x2b,%%ax\n movw %%ax,%%ds\n movw %%ax,%%es\n"
                     "movw $0x40,%%ax\n ltr %%ax" ::"m"(GdtPointer), "m"(IdtPointer)
                     : "rax", "memory");
}

static VOID KiInitializePcr(void) {
    KPCR *Pcr = &KiInitialPCR;
    KPRCB *Prcb = &Pcr->Prcb;
    Pcr->Self = Pcr;
    Pcr->Used_Self = Pcr;
    Pcr->CurrentPrcb = Prcb;
    Pcr->GdtBase = Gdt;
    Pcr->IdtBase = Idt;
    Pcr->TssBase = KiTss;
    Pcr->MajorVersion = Pcr->MinorVersion = 1;
    Prcb->MajorVersion = Prcb->MinorVersion = 1;
    Prcb->MxCsr = 0x1f80;
    Prcb->CpuType = 6;
    Prcb->CpuID = 1;
    Prcb->CpuStep = 0x9e0a;
    Prcb->CpuVendor = 1;
    Prcb->MHz = 3600;
    Prcb->Context = &Prcb->ProcessorState.ContextFrame;
    memcpy(Prcb->VendorString, "GenuineIntel", 12);
    WriteMsr(0xc0000101, (ULONG64)Pcr);              // GS base
    WriteMsr(0xc0000102, 0);                         // GS base of user mode
    WriteMsr(0xc0000081, 0x0023001000000000ull);     // STAR
    WriteMsr(0xc0000082, (ULONG64)KiSystemCall64);   // LSTAR
    WriteMsr(0xc0000084, 0x4700);                    // flags that a system call clears
}

// What a machine does with its day. Drivers take part where they choose: when they are loaded, when a program calls their
// devices, when they are unloaded, when their timers are due, and when the system goes to sleep.
static DECLSPEC_NOINLINE VOID Phase1Initialization(PVOID Context) {
    UNREFERENCED_PARAMETER(Context);
    DbgPrint("drivers\n");
    IoInitSystem();
    DbgPrint("user program\n");
    PsRunUserProgram();
    DbgPrint("unload\n");
    IoUnloadDrivers();
    DbgPrint("timers\n");
    KiTimerExpiration();
    KiRunIdle();
    DbgPrint("sleep\n");
    PoSleep();
    DbgPrint("no crash\n");
    KeBugCheckEx(0xe2, 0, 0, 0, 0);
}

// The outermost frame of every system thread: what nobody handled ends here.
DECLSPEC_NOINLINE VOID PspSystemThreadStartup(PVOID Context) {
    __try {
        Phase1Initialization(Context);
    } __except (PspUnhandledExceptionInSystemThread(__exception_info())) {
    }
}

VOID KiSystemStartup(void) {
    KiInitializeDescriptors();
    KiInitializePcr();
    MmInitialize();
    ExInitializePool();
    KdInitialize();
    PsInitialize();
    KiInsertModule(0);
    DbgPrint("kernel\n");
    PVOID Nowhere;
    KiSwapContext(&Nowhere, KiSystemThread.Tcb.KernelStack);
}
