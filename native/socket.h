// Functions on sockets by descriptor: made inside a namespace, known to the kernel by their
// storage.
#ifndef PODWIRE_NATIVE_SOCKET_H_
#define PODWIRE_NATIVE_SOCKET_H_

#include <napi.h>

namespace podwire {

void ExportSocketFunctions(Napi::Env env, Napi::Object exports);

}  // namespace podwire

#endif  // PODWIRE_NATIVE_SOCKET_H_
