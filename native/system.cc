#include "system.h"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <time.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "error.h"
#include "handle.h"

namespace podwire {
namespace {

Napi::Value TryLock(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto path = info[0].As<Napi::String>().Utf8Value();
  // A folder is locked itself: a bpffs takes no plain files.
  int opened = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) opened = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  UniqueFd fd(opened);
  if (fd.Get() < 0) throw Refusal(env, errno, "open", path);
  if (flock(fd.Get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return env.Undefined();
    throw Refusal(env, errno, "flock", path);
  }
  return Napi::Number::New(env, fd.Release());
}

void MountFs(const Napi::CallbackInfo& info) {
  const auto type = info[0].As<Napi::String>().Utf8Value();
  const auto target = info[1].As<Napi::String>().Utf8Value();
  if (mount(type.c_str(), target.c_str(), type.c_str(), 0, nullptr) != 0 && errno != EBUSY) {
    throw Refusal(info.Env(), errno, "mount", type + " at " + target);
  }
}

Napi::Value FsType(const Napi::CallbackInfo& info) {
  const auto path = info[0].As<Napi::String>().Utf8Value();
  struct statfs fs;
  if (statfs(path.c_str(), &fs) != 0) throw Refusal(info.Env(), errno, "statfs", path);
  return Napi::Number::New(info.Env(), static_cast<uint32_t>(fs.f_type));
}

Napi::Value RaiseLimits(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  /* Needed before Linux 5.11 only; without the privilege the load that needs it says so. */
  const rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_MEMLOCK, &unlimited);
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) throw Refusal(env, errno, "getrlimit", "NOFILE");
  files.rlim_cur = files.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &files) != 0) throw Refusal(env, errno, "setrlimit", "NOFILE");
  auto limits = Napi::Array::New(env, 2);
  limits.Set(0u, static_cast<double>(files.rlim_cur));
  limits.Set(1u, static_cast<double>(files.rlim_max));
  return limits;
}

Napi::Value PossibleCpus(const Napi::CallbackInfo& info) {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) throw Refusal(info.Env(), cpus, "libbpf_num_possible_cpus", "");
  return Napi::Number::New(info.Env(), cpus);
}

Napi::Value LibbpfVersion(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), libbpf_version_string());
}

Napi::Value MonotonicNs(const Napi::CallbackInfo& info) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return Napi::BigInt::New(info.Env(), static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 +
                                           static_cast<uint64_t>(now.tv_nsec));
}

}  // namespace

void ExportSystemFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("tryLock", Napi::Function::New<TryLock>(env, "tryLock"));
  exports.Set("mountFs", Napi::Function::New<MountFs>(env, "mountFs"));
  exports.Set("fsType", Napi::Function::New<FsType>(env, "fsType"));
  exports.Set("raiseLimits", Napi::Function::New<RaiseLimits>(env, "raiseLimits"));
  exports.Set("possibleCpus", Napi::Function::New<PossibleCpus>(env, "possibleCpus"));
  exports.Set("libbpfVersion", Napi::Function::New<LibbpfVersion>(env, "libbpfVersion"));
  exports.Set("monotonicNs", Napi::Function::New<MonotonicNs>(env, "monotonicNs"));
}

}  // namespace podwire
