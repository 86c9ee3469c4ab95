#include "map.h"

#include <fcntl.h>

#include <cerrno>
#include <span>

#include "addon.h"
#include "args.h"
#include "error.h"

namespace podwire {
namespace {

bool IsPerCpu(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
         type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

Map::Source Owned(UniqueFd fd, const std::string& name) {
  return {std::move(fd), nullptr, nullptr, name};
}

// binding.createMap(options)
Napi::Value CreateMap(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto options = info[0].As<Napi::Object>();
  auto number = [&](const char* name) {
    return options.Get(name).As<Napi::Number>().Uint32Value();
  };
  const auto name = options.Get("name").As<Napi::String>().Utf8Value();
  LIBBPF_OPTS(bpf_map_create_opts, create);
  create.map_flags = OptionalUint32(options.Get("flags"), 0);
  LibbpfLog log;
  UniqueFd fd(bpf_map_create(static_cast<bpf_map_type>(number("type")), name.c_str(),
                             number("keySize"), number("valueSize"), number("maxEntries"),
                             &create));
  if (fd.Get() < 0) throw Refusal(env, fd.Get(), "bpf_map_create", "map " + name, log.Text());
  return Map::Create(env, Owned(std::move(fd), name));
}

// binding.openPinnedMap(path)
Napi::Value OpenPinnedMap(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto path = info[0].As<Napi::String>().Utf8Value();
  UniqueFd fd(bpf_obj_get(path.c_str()));
  if (fd.Get() < 0) throw Refusal(env, fd.Get(), "bpf_obj_get", path);
  return Map::Create(env, Owned(std::move(fd), path));
}

// binding.mapFromFd(fd)
Napi::Value MapFromFd(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const auto name = "fd " + std::to_string(fd);
  UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (copy.Get() < 0) throw Refusal(env, errno, "fcntl", name);
  auto map = Map::Create(env, Owned(std::move(copy), name));
  Map::From(map).Info(); /* refuses what is no BPF descriptor */
  return map;
}

}  // namespace

Napi::Function Map::Define(Napi::Env env) {
  return DefineClass(env, "BpfMap",
                     {
                         InstanceAccessor<&Map::GetFd>("fd"),
                         InstanceMethod<&Map::GetInfo>("info"),
                         InstanceMethod<&Map::Lookup>("lookup"),
                         InstanceMethod<&Map::Update>("update"),
                         InstanceMethod<&Map::Delete>("delete"),
                         InstanceMethod<&Map::UpdateMany>("updateBatch"),
                         InstanceMethod<&Map::DeleteMany>("deleteBatch"),
                         InstanceMethod<&Map::DumpAll>("dump"),
                         InstanceMethod<&Map::Pin>("pin"),
                         InstanceMethod<&Map::Freeze>("freeze"),
                         InstanceMethod<&Map::Close>("close"),
                     });
}

void Map::ExportFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("createMap", Napi::Function::New<CreateMap>(env, "createMap"));
  exports.Set("openPinnedMap", Napi::Function::New<OpenPinnedMap>(env, "openPinnedMap"));
  exports.Set("mapFromFd", Napi::Function::New<MapFromFd>(env, "mapFromFd"));
}

Napi::Object Map::Create(Napi::Env env, Source source) {
  return Construct(env, &AddonData::map, source);
}

Map& Map::From(const Napi::Value& value) {
  return podwire::Unwrap<Map>(value, &AddonData::map, "BpfMap");
}

Map::Map(const Napi::CallbackInfo& info) : ObjectWrap(info), source_(TakeSource<Source>(info)) {}

int Map::Fd() const {
  int fd = source_.owned.Get();
  if (source_.object && source_.object->Get() != nullptr) fd = bpf_map__fd(source_.map);
  if (fd < 0) throw Refusal(Env(), EBADF, "bpf_map__fd", Label() + " (closed or not loaded)");
  return fd;
}

const bpf_map_info& Map::Info() {
  const int fd = Fd();
  if (!info_) {
    bpf_map_info read = {};
    uint32_t length = sizeof read;
    const int error = bpf_obj_get_info_by_fd(fd, &read, &length);
    if (error != 0) throw Refusal(Env(), error, "bpf_obj_get_info_by_fd", Label());
    info_ = read;
  }
  return *info_;
}

MapShape Map::Shape() {
  const bpf_map_info& map = Info();
  if (IsPerCpu(map.type)) throw Refusal(Env(), EOPNOTSUPP, "bpf", "per-CPU " + Label());
  return {Fd(), map.type, map.key_size, map.value_size, map.max_entries};
}

void Map::Check(const BatchResult& result, uint32_t count) {
  if (result.error == 0) return;
  throw Refusal(Env(), result.error, result.syscall,
                Label() + " after " + std::to_string(result.done) + " of " + std::to_string(count) +
                    " entries");
}

void Map::Write(std::span<const uint8_t> key, std::span<const uint8_t> value, uint64_t flags) {
  const MapShape map = Shape();
  if (key.size() < map.key_size || value.size() < map.value_size) {
    throw Refusal(Env(), EINVAL, "bpf_map_update_elem", Label() + " (size of key or value)");
  }
  const int error = bpf_map_update_elem(map.fd, key.data(), value.data(), flags);
  if (error != 0) throw Refusal(Env(), error, "bpf_map_update_elem", Label());
}

Napi::Value Map::GetFd(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Fd());
}

Napi::Value Map::GetInfo(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const bpf_map_info& map = Info();
  auto result = Napi::Object::New(env);
  result.Set("id", map.id);
  result.Set("name", map.name);
  result.Set("type", map.type);
  result.Set("keySize", map.key_size);
  result.Set("valueSize", map.value_size);
  result.Set("maxEntries", map.max_entries);
  result.Set("flags", map.map_flags);
  return result;
}

Napi::Value Map::Lookup(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const MapShape map = Shape();
  const auto key = BytesOf(info[0], "key", map.key_size);
  auto value = Napi::Uint8Array::New(env, map.value_size);
  const int error = bpf_map_lookup_elem(map.fd, key.data(), value.Data());
  if (error == -ENOENT) return env.Undefined();
  if (error != 0) throw Refusal(env, error, "bpf_map_lookup_elem", Label());
  return value;
}

void Map::Update(const Napi::CallbackInfo& info) {
  const MapShape map = Shape();
  Write(BytesOf(info[0], "key", map.key_size), BytesOf(info[1], "value", map.value_size),
        OptionalUint32(info[2], BPF_ANY));
}

Napi::Value Map::Delete(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const MapShape map = Shape();
  const auto key = BytesOf(info[0], "key", map.key_size);
  const BatchResult result = DeleteBatch(map, key.data(), 1);
  if (result.error != 0) throw Refusal(env, result.error, result.syscall, Label());
  return Napi::Boolean::New(env, result.done == 1);
}

void Map::UpdateMany(const Napi::CallbackInfo& info) {
  const MapShape map = Shape();
  const uint32_t count = info[2].As<Napi::Number>().Uint32Value();
  const auto keys = BytesOf(info[0], "keys", static_cast<size_t>(count) * map.key_size);
  const auto values = BytesOf(info[1], "values", static_cast<size_t>(count) * map.value_size);
  Check(UpdateBatch(map, keys.data(), values.data(), count, OptionalUint32(info[3], BPF_ANY)),
        count);
}

Napi::Value Map::DeleteMany(const Napi::CallbackInfo& info) {
  const MapShape map = Shape();
  const uint32_t count = info[1].As<Napi::Number>().Uint32Value();
  const auto keys = BytesOf(info[0], "keys", static_cast<size_t>(count) * map.key_size);
  const BatchResult result = DeleteBatch(map, keys.data(), count);
  Check(result, count);
  return Napi::Number::New(info.Env(), result.done);
}

Napi::Value Map::DumpAll(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  MapEntries entries;
  const BatchResult result = Dump(Shape(), &entries);
  if (result.error != 0) throw Refusal(env, result.error, result.syscall, Label());
  auto dump = Napi::Object::New(env);
  dump.Set("keys", Copy(env, entries.keys));
  dump.Set("values", Copy(env, entries.values));
  dump.Set("count", entries.count);
  return dump;
}

void Map::Pin(const Napi::CallbackInfo& info) {
  const auto path = info[0].As<Napi::String>().Utf8Value();
  const int error = bpf_obj_pin(Fd(), path.c_str());
  if (error != 0) throw Refusal(info.Env(), error, "bpf_obj_pin", Label() + " at " + path);
}

void Map::Freeze(const Napi::CallbackInfo& info) {
  const int error = bpf_map_freeze(Fd());
  if (error != 0) throw Refusal(info.Env(), error, "bpf_map_freeze", Label());
}

void Map::Close(const Napi::CallbackInfo&) {
  source_.owned.Reset();
  source_.object.reset();
}

}  // namespace podwire
