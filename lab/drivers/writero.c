// Changes a letter of a text that the compiler put into read-only data.
#include "ntddk.h"

static const CHAR Greeting[] = "hello from the driver";

static DECLSPEC_NOINLINE VOID Capitalise(CHAR *Text) { *(volatile CHAR *)Text -= 'a' - 'A'; }

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    Capitalise((CHAR *)Greeting);
    return STATUS_SUCCESS;
}
