// What the driver kit links into every driver: the entry point that prepares the stack cookie, and the check of it.
#include "ntddk.h"

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath);
ULONG64 __security_cookie = 0x00002b992ddfa232;

static VOID __security_init_cookie(PDRIVER_OBJECT DriverObject) {
    __security_cookie = ((ULONG64)DriverObject->DriverStart * 0x9e3779b97f4a7c15ull >> 16) | 1;
}

DECLSPEC_NOINLINE static VOID __report_gsfailure(ULONG64 Cookie) { KeBugCheckEx(0xf7, Cookie, __security_cookie, ~__security_cookie, 0); }

VOID __security_check_cookie(ULONG64 Cookie) {
    if (Cookie != __security_cookie) __report_gsfailure(Cookie);
}

NTSTATUS GsDriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    __security_init_cookie(DriverObject);
    return DriverEntry(DriverObject, RegistryPath);
}
