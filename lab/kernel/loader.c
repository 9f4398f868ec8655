// The list of loaded modules, and the list of those that were unloaded.
#include "ke.h"

NTKERNELAPI LIST_ENTRY PsLoadedModuleList = {&PsLoadedModuleList, &PsLoadedModuleList};
NTKERNELAPI PVOID MmUnloadedDrivers;
NTKERNELAPI ULONG MmLastUnloadedDriver;

// The exception directory is the image's own.
static VOID FindExceptionTable(KLDR_DATA_TABLE_ENTRY *Entry) {
    UCHAR *Image = Entry->DllBase;
    ULONG *Directory = (ULONG *)(Image + *(ULONG *)(Image + 0x3c) + 0x18 + 0x70 + 3 * 8);
    Entry->ExceptionTable = Image + Directory[0];
    Entry->ExceptionTableSize = Directory[1];
}

VOID KiInsertModule(ULONG Index) {
    volatile LAB_BOOT_MODULE *Module = &KiBootBlock.Modules[Index];
    KLDR_DATA_TABLE_ENTRY *Entry = ExAllocatePoolWithTag(NonPagedPool, sizeof *Entry, 'dLmM');
    memset(Entry, 0, sizeof *Entry);
    Entry->DllBase = (PVOID)Module->Base;
    Entry->EntryPoint = (PVOID)Module->Entry;
    Entry->SizeOfImage = (ULONG)Module->Size;
    Entry->TimeDateStamp = Module->TimeDateStamp;
    Entry->CheckSum = Module->CheckSum;
    Entry->Flags = 0x09104000;
    Entry->LoadCount = 1;
    const WCHAR *Folder = Index == 0 ? (const WCHAR *)L"\\SystemRoot\\system32\\" : (const WCHAR *)L"\\SystemRoot\\System32\\drivers\\";
    ObRenameString(&Entry->FullDllName, Folder, Module->Name);
    ObRenameString(&Entry->BaseDllName, (const WCHAR *)L"", Module->Name);
    FindExceptionTable(Entry);
    InsertTailList(&PsLoadedModuleList, &Entry->InLoadOrderLinks);
}

KLDR_DATA_TABLE_ENTRY *MiLookupDataTableEntry(ULONG64 Address) {
    for (LIST_ENTRY *E = PsLoadedModuleList.Flink; E != &PsLoadedModuleList; E = E->Flink) {
        KLDR_DATA_TABLE_ENTRY *Entry = CONTAINING_RECORD(E, KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks);
        if (Address - (ULONG64)Entry->DllBase < Entry->SizeOfImage) return Entry;
    }
    return NULL;
}

// Forgets a module: its pages are gone, its name is remembered for a while.
VOID MmUnloadSystemImage(KLDR_DATA_TABLE_ENTRY *Entry) {
    if (!MmUnloadedDrivers) {
        MmUnloadedDrivers = ExAllocatePoolWithTag(NonPagedPool, MI_UNLOADED_DRIVERS * sizeof(UNLOADED_DRIVERS), 'TDmM');
        memset(MmUnloadedDrivers, 0, MI_UNLOADED_DRIVERS * sizeof(UNLOADED_DRIVERS));
    }
    UNLOADED_DRIVERS *Unloaded = (UNLOADED_DRIVERS *)MmUnloadedDrivers + MmLastUnloadedDriver++ % MI_UNLOADED_DRIVERS;
    Unloaded->Name = Entry->BaseDllName;
    Unloaded->StartAddress = Entry->DllBase;
    Unloaded->EndAddress = (UCHAR *)Entry->DllBase + Entry->SizeOfImage;
    Unloaded->CurrentTime.QuadPart = 134179534130000000ll;
    RemoveEntryList(&Entry->InLoadOrderLinks);
    MiUnmapPages((ULONG64)Entry->DllBase, (Entry->SizeOfImage + 0xfff) / 0x1000);
}

UNLOADED_DRIVERS *MiLocateUnloadedDriver(ULONG64 Address) {
    UNLOADED_DRIVERS *Drivers = MmUnloadedDrivers;
    for (ULONG I = 0; Drivers && I < MI_UNLOADED_DRIVERS; I++) {
        if (Address >= (ULONG64)Drivers[I].StartAddress && Address < (ULONG64)Drivers[I].EndAddress) return &Drivers[I];
    }
    return NULL;
}
