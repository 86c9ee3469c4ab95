#include "netns.h"

#include <fcntl.h>
#include <sched.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "error.h"

namespace podwire {
namespace {

// Of this thread: workers may be elsewhere than the main thread.
constexpr const char* kHomePath = "/proc/thread-self/ns/net";

UniqueFd OpenNetns(Napi::Env env, const char* path) {
  UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC));
  if (fd.Get() < 0) throw Refusal(env, errno, "open", path);
  return fd;
}

}  // namespace

NetnsVisit::NetnsVisit(Napi::Env env, const std::optional<std::string>& path) {
  if (!path) return;
  /* opened once: procfs costs more than all the rest of a visit */
  static thread_local UniqueFd home;
  if (home.Get() < 0) home = OpenNetns(env, kHomePath);
  const UniqueFd target = OpenNetns(env, path->c_str());
  if (setns(target.Get(), CLONE_NEWNET) != 0) throw Refusal(env, errno, "setns", *path);
  home_ = home.Get();
}

NetnsVisit::~NetnsVisit() {
  if (home_ < 0 || setns(home_, CLONE_NEWNET) == 0) return;
  fprintf(stderr, "podwire: cannot return to the agent's network namespace: %s\n", strerror(errno));
  abort();
}

}  // namespace podwire
