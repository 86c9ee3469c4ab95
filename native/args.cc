#include "args.h"

#include <cstring>

namespace podwire {

std::span<uint8_t> Bytes(const Napi::Value& value, const char* name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw Napi::TypeError::New(value.Env(), std::string(name) + " is not a Uint8Array");
  }
  auto array = value.As<Napi::Uint8Array>();
  return {array.Data(), array.ByteLength()};
}

std::span<uint8_t> BytesOf(const Napi::Value& value, const char* name, size_t size) {
  const auto bytes = Bytes(value, name);
  if (bytes.size() != size) {
    throw Napi::RangeError::New(value.Env(), std::string(name) + " has " +
                                                 std::to_string(bytes.size()) + " bytes, not " +
                                                 std::to_string(size));
  }
  return bytes;
}

Napi::Uint8Array Copy(Napi::Env env, std::span<const uint8_t> bytes) {
  auto array = Napi::Uint8Array::New(env, bytes.size());
  if (!bytes.empty()) memcpy(array.Data(), bytes.data(), bytes.size());
  return array;
}

std::optional<std::string> OptionalPath(const Napi::Value& value) {
  if (value.IsUndefined() || value.IsNull()) return std::nullopt;
  return value.As<Napi::String>().Utf8Value();
}

uint32_t OptionalUint32(const Napi::Value& value, uint32_t otherwise) {
  return value.IsUndefined() ? otherwise : value.As<Napi::Number>().Uint32Value();
}

}  // namespace podwire
