// Module init: one set of constructors per environment, no state shared between threads.
#include "addon.h"

#include "diag.h"
#include "error.h"
#include "link.h"
#include "map.h"
#include "object.h"
#include "program.h"
#include "ringbuf.h"
#include "socket.h"
#include "system.h"
#include "tls_context.h"
#include "transport.h"

namespace podwire {

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  LibbpfLog::Install();
  auto* data = new AddonData();
  env.SetInstanceData(data);
  data->object = Napi::Persistent(Object::Define(env));
  data->map = Napi::Persistent(Map::Define(env));
  data->program = Napi::Persistent(Program::Define(env));
  data->link = Napi::Persistent(Link::Define(env));
  data->ring_buffer = Napi::Persistent(RingBuffer::Define(env));
  data->transport = Napi::Persistent(Transport::Define(env));
  data->tls_context = Napi::Persistent(TlsContext::Define(env));
  Object::ExportFunctions(env, exports);
  Map::ExportFunctions(env, exports);
  Link::ExportFunctions(env, exports);
  RingBuffer::ExportFunctions(env, exports);
  Transport::ExportFunctions(env, exports);
  TlsContext::ExportFunctions(env, exports);
  ExportSocketFunctions(env, exports);
  ExportSystemFunctions(env, exports);
  ExportDiagFunctions(env, exports);
  return exports;
}

NODE_API_MODULE(podwire, Init)

}  // namespace podwire
