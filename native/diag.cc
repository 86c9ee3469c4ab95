#include "diag.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "args.h"
#include "error.h"
#include "handle.h"
#include "netns.h"

namespace podwire {
namespace {

constexpr size_t kReceiveBytes = 256 * 1024;

// The answers of one datagram; true when the dump is over.
bool TakeMessages(Napi::Env env, std::span<const uint8_t> datagram, const std::string& label,
                  std::vector<uint8_t>* out) {
  auto left = static_cast<unsigned int>(datagram.size());
  const auto* message = reinterpret_cast<const nlmsghdr*>(datagram.data());
  for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
    if (message->nlmsg_type == NLMSG_DONE) return true;
    if (message->nlmsg_type == NLMSG_ERROR) {
      const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(message));
      throw Refusal(env, error->error, "sock_diag", label);
    }
    const auto* bytes = reinterpret_cast<const uint8_t*>(message);
    out->insert(out->end(), bytes, bytes + NLMSG_ALIGN(message->nlmsg_len));
  }
  return false;
}

Napi::Value SockDiag(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto path = info[0].As<Napi::String>().Utf8Value();
  const auto request = Bytes(info[1], "request");
  UniqueFd fd;
  {
    const NetnsVisit visit(env, path);
    fd = UniqueFd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    if (fd.Get() < 0) throw Refusal(env, errno, "socket", "NETLINK_SOCK_DIAG");
  }
  if (send(fd.Get(), request.data(), request.size(), 0) < 0) {
    throw Refusal(env, errno, "sock_diag", path);
  }
  std::vector<uint8_t> answers;
  std::vector<uint8_t> datagram(kReceiveBytes);
  for (;;) {
    // The kernel queues the next part before this one is returned: nothing to wait for.
    const ssize_t got = recv(fd.Get(), datagram.data(), datagram.size(), MSG_DONTWAIT);
    if (got < 0) throw Refusal(env, errno, "sock_diag", path);
    if (TakeMessages(env, {datagram.data(), static_cast<size_t>(got)}, path, &answers)) break;
  }
  return Copy(env, answers);
}

}  // namespace

void ExportDiagFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("sockDiag", Napi::Function::New<SockDiag>(env, "sockDiag"));
}

}  // namespace podwire
