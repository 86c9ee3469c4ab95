// Per-environment data: the main thread and every worker have constructors of their own.
#ifndef PODWIRE_NATIVE_ADDON_H_
#define PODWIRE_NATIVE_ADDON_H_

#include <napi.h>

#include <string>

namespace podwire {

struct AddonData {
  Napi::FunctionReference object;
  Napi::FunctionReference map;
  Napi::FunctionReference program;
  Napi::FunctionReference link;
  Napi::FunctionReference ring_buffer;
  Napi::FunctionReference transport;
  Napi::FunctionReference tls_context;
};

using Constructor = Napi::FunctionReference AddonData::*;

// Makes a JS object of a native class.  The class's constructor moves `source` out of info[0].
template <typename Source>
Napi::Object Construct(Napi::Env env, Constructor constructor, Source& source) {
  auto external = Napi::External<Source>::New(env, &source);
  return (env.GetInstanceData<AddonData>()->*constructor).New({external});
}

// The other side of Construct(); JS code cannot call these constructors.
template <typename Source>
Source&& TakeSource(const Napi::CallbackInfo& info) {
  if (!info[0].IsExternal()) throw Napi::TypeError::New(info.Env(), "Illegal constructor");
  return std::move(*info[0].As<Napi::External<Source>>().Data());
}

// The native object behind a JS value, or a TypeError.
template <typename Class>
Class& Unwrap(const Napi::Value& value, Constructor constructor, const char* name) {
  Napi::Env env = value.Env();
  const auto& function = env.GetInstanceData<AddonData>()->*constructor;
  if (!value.IsObject() || !value.As<Napi::Object>().InstanceOf(function.Value())) {
    throw Napi::TypeError::New(env, std::string(name) + " expected");
  }
  return *Class::Unwrap(value.As<Napi::Object>());
}

}  // namespace podwire

#endif  // PODWIRE_NATIVE_ADDON_H_
