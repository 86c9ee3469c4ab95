// What the classes own: descriptors, and the libbpf object that a BpfObject shares with its maps
// and programs.
#ifndef PODWIRE_NATIVE_HANDLE_H_
#define PODWIRE_NATIVE_HANDLE_H_

#include <bpf/libbpf.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace podwire {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    Reset(other.Release());
    return *this;
  }
  ~UniqueFd() { Reset(); }

  int Get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

// A bpf_object that can be closed while maps and programs of it are still referenced from JS: they
// hold this handle and find it closed, instead of a freed pointer.
class ObjectHandle {
 public:
  ObjectHandle(bpf_object* object, std::string name) : object_(object), name_(std::move(name)) {}
  ObjectHandle(const ObjectHandle&) = delete;
  ObjectHandle& operator=(const ObjectHandle&) = delete;
  ~ObjectHandle() { Close(); }

  // nullptr once closed
  bpf_object* Get() const { return object_; }
  const std::string& Name() const { return name_; }
  bool loaded = false;
  void Close() { bpf_object__close(std::exchange(object_, nullptr)); }

 private:
  bpf_object* object_;
  std::string name_;
};

}  // namespace podwire

#endif  // PODWIRE_NATIVE_HANDLE_H_
