// TLS on one socket: records leave and arrive through the session's own BIO, what the socket does
// not take waits in the slot's queue.
#ifndef PODWIRE_NATIVE_TLS_SESSION_H_
#define PODWIRE_NATIVE_TLS_SESSION_H_

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace podwire {

struct Slot;

// TLS_REFUSALS of src/proxy/transport.ts, in that order.
enum class TlsRefusal : int32_t {
  kNoCredentials,
  kNoCertificate,
  kUntrusted,
  kExpired,
  kRevoked,
  kNoSpiffeId,
  kWrongTrustDomain,
  kUnexpectedId,
  kNoAlpn,
  kHandshake,
  kClosed,
  kTimeout,
};

// A socket's bytes for OpenSSL; one for each transport.
class SlotBio {
 public:
  // Eight full records.
  static constexpr size_t kGatherBytes = 8 * (16384 + 22);

  SlotBio() = default;
  SlotBio(const SlotBio&) = delete;
  SlotBio& operator=(const SlotBio&) = delete;
  ~SlotBio() {
    if (method_ != nullptr) BIO_meth_free(method_);
  }
  BIO* New(Slot* slot);

  // Records leave together, when one comes with `more` false: TCP would make a packet, and a way
  // through the stack, of each.  false: errno in *error, and what was gathered is lost.
  bool Put(Slot* slot, const void* data, size_t size, bool more, int* error);
  // What was gathered for a session that is broken.
  void Drop() { gathered_bytes_ = 0; }

 private:
  bool Send(Slot* slot, const void* data, size_t size, int* error);

  // Made with the first: without TLS there may be no OpenSSL.
  BIO_METHOD* method_ = nullptr;
  std::unique_ptr<uint8_t[]> gathered_;
  size_t gathered_bytes_ = 0;
};

class TlsSession {
 public:
  enum class Progress { kWaiting, kDone, kRefused };
  enum class Input { kBytes, kWaiting, kEnd, kError };

  // `accepted`: trust domains on the server's side, SPIFFE ids on the client's.
  TlsSession(SSL_CTX* context, bool server, std::vector<std::string> accepted);
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;
  ~TlsSession() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }

  // The first bytes make the session: sockets that never speak cost little.
  Progress Handshake(SlotBio* bio, Slot* slot);
  TlsRefusal Refusal() const { return refusal_; }

  // Up to `size` bytes, several records.  *got may be more than 0 with any result.
  Input Read(uint8_t* data, size_t size, size_t* got);
  // Whether Read() would have something without the socket.
  bool HasInput() const { return ssl_ != nullptr && SSL_has_pending(ssl_) != 0; }
  // All of it, or false: the session is broken.  `more`: another Write() follows at once.
  bool Write(const uint8_t* data, size_t size, bool more);
  // close_notify
  void End();

  // errno of the socket, or EPROTO; and the peer's alert, 0 for none.
  int Error() const { return error_; }
  int Alert() const { return alert_; }
  X509* PeerCertificate() const { return SSL_get0_peer_certificate(ssl_); }

  // For SSL_CTX_set_cert_verify_callback(): chain, purpose, CRLs, and the peer's SPIFFE id.
  static int VerifyPeer(X509_STORE_CTX* store, void*);

 private:
  friend class SlotBio;

  bool CheckLeaf(X509* leaf);
  void NoteFailure(int result);
  static void OnInfo(const SSL* ssl, int where, int value);

  SSL_CTX* context_;
  SSL* ssl_ = nullptr;
  SlotBio* bio_ = nullptr;
  bool server_;
  bool more_ = false;    // the record being written is not the last
  bool proven_ = false;  // VerifyPeer() has taken the peer
  TlsRefusal refusal_ = TlsRefusal::kHandshake;
  int error_ = 0;
  int alert_ = 0;
  std::vector<std::string> accepted_;
};

}  // namespace podwire

#endif  // PODWIRE_NATIVE_TLS_SESSION_H_
