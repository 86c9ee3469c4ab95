// Bytes between JS and C++.  The callers in TypeScript check arguments; what is checked here is
// only what would otherwise read or write memory that is not ours.
#ifndef PODWIRE_NATIVE_ARGS_H_
#define PODWIRE_NATIVE_ARGS_H_

#include <napi.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace podwire {

// The memory of a Uint8Array, valid during the call; a TypeError for anything else.
std::span<uint8_t> Bytes(const Napi::Value& value, const char* name);

// The same, and a RangeError unless it has exactly `size` bytes.
std::span<uint8_t> BytesOf(const Napi::Value& value, const char* name, size_t size);

// A Uint8Array of its own with a copy.
Napi::Uint8Array Copy(Napi::Env env, std::span<const uint8_t> bytes);

// undefined and null are no path
std::optional<std::string> OptionalPath(const Napi::Value& value);

uint32_t OptionalUint32(const Napi::Value& value, uint32_t otherwise);

}  // namespace podwire

#endif  // PODWIRE_NATIVE_ARGS_H_
