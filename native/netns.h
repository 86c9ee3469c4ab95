// A visit of the calling thread to another network namespace.
#ifndef PODWIRE_NATIVE_NETNS_H_
#define PODWIRE_NATIVE_NETNS_H_

#include <napi.h>

#include <optional>
#include <string>

#include "handle.h"

namespace podwire {

// Inside the namespace of `path` (no path: stays at home) until it goes out of scope.  A thread
// that could not come back would open every later socket of the agent in a pod, so that aborts.
class NetnsVisit {
 public:
  NetnsVisit(Napi::Env env, const std::optional<std::string>& path);
  ~NetnsVisit();
  NetnsVisit(const NetnsVisit&) = delete;
  NetnsVisit& operator=(const NetnsVisit&) = delete;

 private:
  int home_ = -1;
};

}  // namespace podwire

#endif  // PODWIRE_NATIVE_NETNS_H_
