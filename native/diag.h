// sock_diag(7): what sockets a network namespace has.
#ifndef PODWIRE_NATIVE_DIAG_H_
#define PODWIRE_NATIVE_DIAG_H_

#include <napi.h>

namespace podwire {

void ExportDiagFunctions(Napi::Env env, Napi::Object exports);

}  // namespace podwire

#endif  // PODWIRE_NATIVE_DIAG_H_
