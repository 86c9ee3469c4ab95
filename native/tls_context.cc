#include "tls_context.h"

#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string>

#include "addon.h"
#include "tls_session.h"

namespace podwire {
namespace {

// rustls' default in ztunnel; OpenSSL knows the first from 3.5 on.
constexpr char kGroups[] = "X25519MLKEM768:X25519:P-256:P-384";
constexpr char kClassicGroups[] = "X25519:P-256:P-384";
constexpr char kSuites[] = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256";
constexpr uint8_t kAlpn[] = {2, 'h', '2'};
// One recv() for what one event delivers.
constexpr size_t kReadAhead = 65536 + 1024;

template <typename Type, void (*Free)(Type*)>
struct Deleter {
  void operator()(Type* object) const { Free(object); }
};
using Certificate = std::unique_ptr<X509, Deleter<X509, X509_free>>;
using RevocationList = std::unique_ptr<X509_CRL, Deleter<X509_CRL, X509_CRL_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY, EVP_PKEY_free>>;

// PEM of JS in memory that is wiped.
class PemText {
 public:
  explicit PemText(const Napi::Value& value) : text_(value.As<Napi::String>().Utf8Value()) {
    bio_ = BIO_new_mem_buf(text_.data(), static_cast<int>(text_.size()));
  }
  PemText(const PemText&) = delete;
  PemText& operator=(const PemText&) = delete;
  ~PemText() {
    BIO_free(bio_);
    OPENSSL_cleanse(text_.data(), text_.size());
  }
  BIO* Get() { return bio_; }

  // After the last block: whether that was the end, and not a broken block.
  static bool AtEnd() {
    const unsigned long error = ERR_peek_last_error();
    const bool end = error == 0 || ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return end;
  }

 private:
  std::string text_;
  BIO* bio_;
};

Napi::Error Unusable(Napi::Env env, const char* what) {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  std::string message = std::string("TLS credentials: ") + what;
  if (reason != nullptr) message += std::string(" (") + reason + ")";
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, "ERR_TLS_CREDENTIALS"));
  return error;
}

// A key that is encrypted is none: OpenSSL would ask at the terminal.
int NoPassword(char*, int, int, void*) { return -1; }

void UseCredentials(Napi::Env env, SSL_CTX* context, const Napi::Object& options) {
  PemText chain(options.Get("certificateChain"));
  const Certificate leaf(PEM_read_bio_X509(chain.Get(), nullptr, NoPassword, nullptr));
  if (leaf == nullptr || SSL_CTX_use_certificate(context, leaf.get()) != 1) {
    throw Unusable(env, "certificateChain");
  }
  for (;;) {
    const Certificate next(PEM_read_bio_X509(chain.Get(), nullptr, NoPassword, nullptr));
    if (next == nullptr) break;
    if (SSL_CTX_add1_chain_cert(context, next.get()) != 1) throw Unusable(env, "certificateChain");
  }
  if (!PemText::AtEnd()) throw Unusable(env, "certificateChain");
  PemText pem(options.Get("privateKey"));
  const PrivateKey key(PEM_read_bio_PrivateKey(pem.Get(), nullptr, NoPassword, nullptr));
  if (key == nullptr || SSL_CTX_use_PrivateKey(context, key.get()) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    throw Unusable(env, "privateKey");
  }
}

void TrustRoots(Napi::Env env, SSL_CTX* context, const Napi::Object& options) {
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  PemText roots(options.Get("roots"));
  int count = 0;
  for (;; count++) {
    const Certificate root(PEM_read_bio_X509(roots.Get(), nullptr, NoPassword, nullptr));
    if (root == nullptr) break;
    if (X509_STORE_add_cert(store, root.get()) != 1) throw Unusable(env, "roots");
  }
  if (count == 0 || !PemText::AtEnd()) throw Unusable(env, "roots");
  if (!options.Get("crls").IsString()) return;
  PemText lists(options.Get("crls"));
  for (;;) {
    const RevocationList list(PEM_read_bio_X509_CRL(lists.Get(), nullptr, NoPassword, nullptr));
    if (list == nullptr) break;
    if (X509_STORE_add_crl(store, list.get()) != 1) throw Unusable(env, "crls");
  }
  if (!PemText::AtEnd()) throw Unusable(env, "crls");
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

int SelectAlpn(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* in,
               unsigned int in_length, void*) {
  for (unsigned int at = 0; at < in_length; at += 1U + in[at]) {
    if (in_length - at >= sizeof kAlpn && memcmp(in + at, kAlpn, sizeof kAlpn) == 0) {
      *out = in + at + 1;
      *out_length = kAlpn[0];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

bool UseProfile(SSL_CTX* context, bool server) {
  if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1) return false;
  if (SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1) return false;
  if (SSL_CTX_set_ciphersuites(context, kSuites) != 1) return false;
  if (SSL_CTX_set1_groups_list(context, kGroups) != 1) {
    ERR_clear_error();
    if (SSL_CTX_set1_groups_list(context, kClassicGroups) != 1) return false;
  }
  /* FIN without close_notify is an end, as with node:tls: HTTP/2 knows by its own frames what was
   * cut. */
  SSL_CTX_set_options(context,
                      SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (SSL_CTX_set_num_tickets(context, 0) != 1) return false;
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, kReadAhead);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(context, TlsSession::VerifyPeer, nullptr);
  if (server) {
    SSL_CTX_set_alpn_select_cb(context, SelectAlpn, nullptr);
    return true;
  }
  return SSL_CTX_set_alpn_protos(context, kAlpn, sizeof kAlpn) == 0;
}

// Whether the OpenSSL of this node can be used: not with the headers of a newer one, nor in a node
// without it, where the symbols are missing.
bool IsUsable() {
  for (const char* symbol : {"SSL_CTX_new", "SSL_CTX_set_cert_verify_callback", "BIO_meth_new"}) {
    if (dlsym(RTLD_DEFAULT, symbol) == nullptr) return false;
  }
  /* 0xMNN00PP0: major and minor; within a major a newer library takes what older headers made */
  const unsigned long running = OpenSSL_version_num() >> 20;
  constexpr unsigned long kBuilt = OPENSSL_VERSION_NUMBER >> 20;
  return running >> 8 == kBuilt >> 8 && running >= kBuilt;
}

// binding.tlsContext({ server, certificateChain, privateKey, roots, crls? })
Napi::Value MakeContext(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto options = info[0].As<Napi::Object>();
  if (!IsUsable()) throw Napi::Error::New(env, "this node has no usable OpenSSL");
  ERR_clear_error();
  TlsContext::Source source;
  source.server = options.Get("server").ToBoolean();
  source.context.reset(SSL_CTX_new(source.server ? TLS_server_method() : TLS_client_method()));
  if (source.context == nullptr || !UseProfile(source.context.get(), source.server)) {
    throw Unusable(env, "the profile");
  }
  UseCredentials(env, source.context.get(), options);
  TrustRoots(env, source.context.get(), options);
  return Construct(env, &AddonData::tls_context, source);
}

// binding.tlsLibrary(): its version, or undefined
Napi::Value TlsLibrary(const Napi::CallbackInfo& info) {
  if (!IsUsable()) return info.Env().Undefined();
  return Napi::String::New(info.Env(), OpenSSL_version(OPENSSL_VERSION));
}

}  // namespace

Napi::Function TlsContext::Define(Napi::Env env) { return DefineClass(env, "TlsContext", {}); }

void TlsContext::ExportFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("tlsContext", Napi::Function::New<MakeContext>(env, "tlsContext"));
  exports.Set("tlsLibrary", Napi::Function::New<TlsLibrary>(env, "tlsLibrary"));
}

TlsContext& TlsContext::From(const Napi::Value& value) {
  return podwire::Unwrap<TlsContext>(value, &AddonData::tls_context, "TlsContext");
}

TlsContext::TlsContext(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  Source&& source = TakeSource<Source>(info);
  context_ = std::move(source.context);
  server_ = source.server;
}

}  // namespace podwire
