// One identity's credentials for one side of TLS: an SSL_CTX.  Sessions in use keep it alive; the
// key goes with the last of them.
#ifndef PODWIRE_NATIVE_TLS_CONTEXT_H_
#define PODWIRE_NATIVE_TLS_CONTEXT_H_

#include <napi.h>
#include <openssl/ssl.h>

#include <memory>

namespace podwire {

struct SslContextDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslContext = std::unique_ptr<SSL_CTX, SslContextDeleter>;

class TlsContext : public Napi::ObjectWrap<TlsContext> {
 public:
  struct Source {
    SslContext context;
    bool server;
  };

  static Napi::Function Define(Napi::Env env);
  static void ExportFunctions(Napi::Env env, Napi::Object exports);
  // A TypeError for what is no TlsContext.
  static TlsContext& From(const Napi::Value& value);

  explicit TlsContext(const Napi::CallbackInfo& info);

  SSL_CTX* Get() const { return context_.get(); }
  bool IsServer() const { return server_; }

 private:
  SslContext context_;
  bool server_;
};

}  // namespace podwire

#endif  // PODWIRE_NATIVE_TLS_CONTEXT_H_
