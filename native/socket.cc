#include "socket.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "args.h"
#include "error.h"
#include "handle.h"
#include "map.h"
#include "netns.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace podwire {
namespace {

constexpr uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr size_t kAddressBytes = 16;

std::string FdLabel(int fd) { return "fd " + std::to_string(fd); }

int FdArg(const Napi::CallbackInfo& info, size_t index) {
  return info[index].As<Napi::Number>().Int32Value();
}

// Socket storage is a map whose key is a descriptor.
void WriteStorage(Map& map, int fd, const Napi::Value& value) {
  map.Write({reinterpret_cast<const uint8_t*>(&fd), sizeof fd}, Bytes(value, "storage"), BPF_ANY);
}

// on: close(2), also the one of a process that dies, sends RST and forgets what is unsent.
void SetReset(Napi::Env env, int fd, bool on) {
  const linger value = {on ? 1 : 0, 0};
  if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, sizeof value) != 0) {
    throw Refusal(env, errno, "setsockopt", FdLabel(fd));
  }
}

// A new socket in the namespace this thread is in, with its storage set.
UniqueFd NewSocket(Napi::Env env, Napi::Object options) {
  const uint32_t family = options.Get("family").As<Napi::Number>().Uint32Value();
  UniqueFd fd(socket(family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                     IPPROTO_TCP));
  if (fd.Get() < 0) throw Refusal(env, errno, "socket", "TCP");
  if (options.Get("storage").IsObject()) {
    auto storage = options.Get("storage").As<Napi::Object>();
    Map& map = Map::From(storage.Get("map"));
    WriteStorage(map, fd.Get(), storage.Get("value"));
  }
  if (options.Get("resetOnClose").ToBoolean()) SetReset(env, fd.Get(), true);
  return fd;
}

socklen_t ToSockaddr(bool v6, std::span<const uint8_t> addr, uint16_t port, sockaddr_storage* out) {
  if (v6) {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(out);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    memcpy(&in6->sin6_addr, addr.data(), kAddressBytes);
    return sizeof *in6;
  }
  auto* in = reinterpret_cast<sockaddr_in*>(out);
  in->sin_family = AF_INET;
  in->sin_port = htons(port);
  memcpy(&in->sin_addr, addr.data() + sizeof kMappedPrefix, sizeof in->sin_addr);
  return sizeof *in;
}

Napi::Object FromSockaddr(Napi::Env env, const sockaddr_storage& from, const std::string& label) {
  uint8_t addr[kAddressBytes] = {};
  uint16_t port;
  if (from.ss_family == AF_INET6) {
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(from);
    memcpy(addr, &in6.sin6_addr, kAddressBytes);
    port = ntohs(in6.sin6_port);
  } else if (from.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(from);
    memcpy(addr, kMappedPrefix, sizeof kMappedPrefix);
    memcpy(addr + sizeof kMappedPrefix, &in.sin_addr, sizeof in.sin_addr);
    port = ntohs(in.sin_port);
  } else {
    throw Refusal(env, EAFNOSUPPORT, "getsockname", label);
  }
  auto result = Napi::Object::New(env);
  result.Set("addr", Copy(env, addr));
  result.Set("port", port);
  return result;
}

void SetInt(Napi::Env env, int fd, int level, int option, int value) {
  if (setsockopt(fd, level, option, &value, sizeof value) != 0) {
    throw Refusal(env, errno, "setsockopt", FdLabel(fd));
  }
}

uint64_t GetCookie(Napi::Env env, int fd, int option, const std::string& label) {
  uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  if (getsockopt(fd, SOL_SOCKET, option, &cookie, &length) != 0) {
    throw Refusal(env, errno, "getsockopt", label);
  }
  return cookie;
}

Napi::Value ListenIn(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto options = info[0].As<Napi::Object>();
  const bool v6 = options.Get("family").As<Napi::Number>().Uint32Value() == 6;
  const auto addr = BytesOf(options.Get("addr"), "addr", kAddressBytes);
  const auto port = static_cast<uint16_t>(options.Get("port").As<Napi::Number>().Uint32Value());
  const int backlog = options.Get("backlog").As<Napi::Number>().Int32Value();
  sockaddr_storage local = {};
  socklen_t length = ToSockaddr(v6, addr, port, &local);

  const NetnsVisit visit(env, OptionalPath(options.Get("netnsPath")));
  UniqueFd fd = NewSocket(env, options);
  SetInt(env, fd.Get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (v6) SetInt(env, fd.Get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  const auto* generic = reinterpret_cast<sockaddr*>(&local);
  if (bind(fd.Get(), generic, length) != 0) {
    throw Refusal(env, errno, "bind", "port " + std::to_string(port));
  }
  if (listen(fd.Get(), backlog) != 0) {
    throw Refusal(env, errno, "listen", "port " + std::to_string(port));
  }
  if (getsockname(fd.Get(), reinterpret_cast<sockaddr*>(&local), &length) != 0) {
    throw Refusal(env, errno, "getsockname", FdLabel(fd.Get()));
  }
  if (options.Get("slot").IsObject()) {
    auto slot = options.Get("slot").As<Napi::Object>();
    Map& map = Map::From(slot.Get("map"));
    const auto key = BytesOf(slot.Get("key"), "slot.key", map.Info().key_size);
    const auto value = static_cast<uint64_t>(fd.Get());
    map.Write(key, {reinterpret_cast<const uint8_t*>(&value), sizeof value}, BPF_ANY);
  }
  auto result = FromSockaddr(env, local, FdLabel(fd.Get()));
  result.Delete("addr");
  result.Set("fd", fd.Release());
  return result;
}

Napi::Value SocketIn(const Napi::CallbackInfo& info) {
  auto options = info[0].As<Napi::Object>();
  const NetnsVisit visit(info.Env(), OptionalPath(options.Get("netnsPath")));
  return Napi::Number::New(info.Env(), NewSocket(info.Env(), options).Release());
}

Napi::Value NetnsCookie(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto path = info[0].As<Napi::String>().Utf8Value();
  const NetnsVisit visit(env, path);
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.Get() < 0) throw Refusal(env, errno, "socket", path);
  return Napi::BigInt::New(env, GetCookie(env, fd.Get(), SO_NETNS_COOKIE, path));
}

Napi::Value SocketCookie(const Napi::CallbackInfo& info) {
  const int fd = FdArg(info, 0);
  return Napi::BigInt::New(info.Env(), GetCookie(info.Env(), fd, SO_COOKIE, FdLabel(fd)));
}

void SetSocketStorage(const Napi::CallbackInfo& info) {
  WriteStorage(Map::From(info[0]), FdArg(info, 1), info[2]);
}

Napi::Value GetSocketStorage(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Map& map = Map::From(info[0]);
  const int fd = FdArg(info, 1);
  std::vector<uint8_t> value(map.Info().value_size);
  const int error = bpf_map_lookup_elem(map.Fd(), &fd, value.data());
  if (error == -ENOENT) return env.Undefined();
  if (error != 0) {
    throw Refusal(env, error, "bpf_map_lookup_elem", map.Label() + " of " + FdLabel(fd));
  }
  return Copy(env, value);
}

void CloseFd(const Napi::CallbackInfo& info) {
  const int fd = FdArg(info, 0);
  if (close(fd) != 0 && errno != EINTR) throw Refusal(info.Env(), errno, "close", FdLabel(fd));
}

Napi::Value DupFd(const Napi::CallbackInfo& info) {
  const int fd = FdArg(info, 0);
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) throw Refusal(info.Env(), errno, "fcntl", FdLabel(fd));
  return Napi::Number::New(info.Env(), copy);
}

Napi::Value BytesReadable(const Napi::CallbackInfo& info) {
  const int fd = FdArg(info, 0);
  int bytes = 0;
  if (ioctl(fd, FIONREAD, &bytes) != 0) throw Refusal(info.Env(), errno, "ioctl", FdLabel(fd));
  return Napi::Number::New(info.Env(), bytes);
}

Napi::Value GetSockOptInt(const Napi::CallbackInfo& info) {
  const int fd = FdArg(info, 0);
  int value = 0;
  socklen_t length = sizeof value;
  if (getsockopt(fd, FdArg(info, 1), FdArg(info, 2), &value, &length) != 0) {
    throw Refusal(info.Env(), errno, "getsockopt", FdLabel(fd));
  }
  return Napi::Number::New(info.Env(), value);
}

void SetSockOptInt(const Napi::CallbackInfo& info) {
  SetInt(info.Env(), FdArg(info, 0), FdArg(info, 1), FdArg(info, 2), FdArg(info, 3));
}

void SetResetOnClose(const Napi::CallbackInfo& info) {
  SetReset(info.Env(), FdArg(info, 0), info[1].As<Napi::Boolean>());
}

Napi::Value SendNow(const Napi::CallbackInfo& info) {
  const auto data = Bytes(info[1], "data");
  const ssize_t sent = send(FdArg(info, 0), data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return Napi::Number::New(info.Env(), static_cast<double>(sent < 0 ? -errno : sent));
}

Napi::Value RecvNow(const Napi::CallbackInfo& info) {
  const auto buffer = Bytes(info[1], "buffer");
  const ssize_t got = recv(FdArg(info, 0), buffer.data(), buffer.size(), MSG_DONTWAIT);
  return Napi::Number::New(info.Env(), static_cast<double>(got < 0 ? -errno : got));
}

Napi::Value NameOf(const Napi::CallbackInfo& info, const char* syscall,
                   int (*name)(int, sockaddr*, socklen_t*)) {
  const int fd = FdArg(info, 0);
  sockaddr_storage from = {};
  socklen_t length = sizeof from;
  if (name(fd, reinterpret_cast<sockaddr*>(&from), &length) != 0) {
    throw Refusal(info.Env(), errno, syscall, FdLabel(fd));
  }
  return FromSockaddr(info.Env(), from, FdLabel(fd));
}

Napi::Value GetSockName(const Napi::CallbackInfo& info) {
  return NameOf(info, "getsockname", getsockname);
}

Napi::Value GetPeerName(const Napi::CallbackInfo& info) {
  return NameOf(info, "getpeername", getpeername);
}

}  // namespace

void ExportSocketFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("listenIn", Napi::Function::New<ListenIn>(env, "listenIn"));
  exports.Set("socketIn", Napi::Function::New<SocketIn>(env, "socketIn"));
  exports.Set("netnsCookie", Napi::Function::New<NetnsCookie>(env, "netnsCookie"));
  exports.Set("socketCookie", Napi::Function::New<SocketCookie>(env, "socketCookie"));
  exports.Set("setSocketStorage", Napi::Function::New<SetSocketStorage>(env, "setSocketStorage"));
  exports.Set("getSocketStorage", Napi::Function::New<GetSocketStorage>(env, "getSocketStorage"));
  exports.Set("closeFd", Napi::Function::New<CloseFd>(env, "closeFd"));
  exports.Set("dupFd", Napi::Function::New<DupFd>(env, "dupFd"));
  exports.Set("bytesReadable", Napi::Function::New<BytesReadable>(env, "bytesReadable"));
  exports.Set("getSockOptInt", Napi::Function::New<GetSockOptInt>(env, "getSockOptInt"));
  exports.Set("setSockOptInt", Napi::Function::New<SetSockOptInt>(env, "setSockOptInt"));
  exports.Set("setResetOnClose", Napi::Function::New<SetResetOnClose>(env, "setResetOnClose"));
  exports.Set("sendNow", Napi::Function::New<SendNow>(env, "sendNow"));
  exports.Set("recvNow", Napi::Function::New<RecvNow>(env, "recvNow"));
  exports.Set("getsockname", Napi::Function::New<GetSockName>(env, "getsockname"));
  exports.Set("getpeername", Napi::Function::New<GetPeerName>(env, "getpeername"));
}

}  // namespace podwire
