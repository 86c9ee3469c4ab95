// BpfLink: an attachment.  Lives with its descriptor, its other handles and its pins.
#ifndef PODWIRE_NATIVE_LINK_H_
#define PODWIRE_NATIVE_LINK_H_

#include <bpf/libbpf.h>
#include <napi.h>

#include <memory>
#include <string>

namespace podwire {

struct LinkDeleter {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
using LinkPointer = std::unique_ptr<bpf_link, LinkDeleter>;

class Link : public Napi::ObjectWrap<Link> {
 public:
  struct Source {
    LinkPointer link;
    std::string name;
  };

  static Napi::Function Define(Napi::Env env);
  static void ExportFunctions(Napi::Env env, Napi::Object exports);
  static Napi::Object Create(Napi::Env env, Source source);

  explicit Link(const Napi::CallbackInfo& info);

 private:
  Napi::Value GetFd(const Napi::CallbackInfo& info);
  Napi::Value GetId(const Napi::CallbackInfo& info);
  void Pin(const Napi::CallbackInfo& info);
  void Update(const Napi::CallbackInfo& info);
  void Detach(const Napi::CallbackInfo& info);
  Napi::Value ReadIter(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  int Fd() const;
  std::string Label() const { return "link " + source_.name; }

  Source source_;
};

}  // namespace podwire

#endif  // PODWIRE_NATIVE_LINK_H_
