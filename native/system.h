// Functions on the machine: locks, mounts, limits, clock.
#ifndef PODWIRE_NATIVE_SYSTEM_H_
#define PODWIRE_NATIVE_SYSTEM_H_

#include <napi.h>

namespace podwire {

void ExportSystemFunctions(Napi::Env env, Napi::Object exports);

}  // namespace podwire

#endif  // PODWIRE_NATIVE_SYSTEM_H_
