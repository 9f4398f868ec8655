// Copies a text of any length into a buffer of sixteen characters on the stack.
#include "ntddk.h"

static DECLSPEC_NOINLINE ULONG CopyName(const CHAR *Name) {
    CHAR Buffer[16];
    volatile CHAR *To = Buffer;
    ULONG Length = 0;
    while ((To[Length] = Name[Length])) Length++;
    return Length + Buffer[0];
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    CopyName("a device with a name that is too long");
    return STATUS_SUCCESS;
}
