#include "tls_session.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "tls_peer.h"
#include "transport_slots.h"

namespace podwire {
namespace {

constexpr size_t kRecordBytes = 16384;

Slot* SlotOf(BIO* bio) { return static_cast<Slot*>(BIO_get_data(bio)); }

int BioRead(BIO* bio, char* data, size_t size, size_t* got) {
  BIO_clear_retry_flags(bio);
  const ssize_t result = recv(SlotOf(bio)->fd, data, size, 0);
  if (result > 0) {
    *got = static_cast<size_t>(result);
    return 1;
  }
  if (result == 0) {
    /* recv() also says 0 for a reset that came after bytes were left unread. */
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(SlotOf(bio)->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    errno = error;
    if (error == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return 0;
  }
  if (errno == EAGAIN || errno == EINTR) BIO_set_retry_read(bio);
  return 0;
}

long BioControl(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/* As rustls in ztunnel: an issuer without a list revokes nothing, an old list still revokes. */
int TolerateMissingLists(int ok, X509_STORE_CTX* store) {
  if (ok == 1) return 1;
  const int error = X509_STORE_CTX_get_error(store);
  return error == X509_V_ERR_UNABLE_TO_GET_CRL || error == X509_V_ERR_CRL_HAS_EXPIRED ? 1 : 0;
}

TlsRefusal RefusalOfChain(int error) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return TlsRefusal::kExpired;
    case X509_V_ERR_CERT_REVOKED:
      return TlsRefusal::kRevoked;
    default:
      return TlsRefusal::kUntrusted;
  }
}

bool HasAlpn(const SSL* ssl) {
  const unsigned char* protocol = nullptr;
  unsigned int length = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &length);
  return length == 2 && protocol[0] == 'h' && protocol[1] == '2';
}

}  // namespace

BIO* SlotBio::New(Slot* slot) {
  if (method_ == nullptr) {
    method_ = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "podwire");
    if (method_ == nullptr) return nullptr;
    gathered_.reset(new uint8_t[kGatherBytes]);
    BIO_meth_set_read_ex(method_, BioRead);
    BIO_meth_set_write_ex(method_, [](BIO* bio, const char* data, size_t size, size_t* written) {
      BIO_clear_retry_flags(bio);
      Slot* slot = SlotOf(bio);
      TlsSession* session = slot->tls.get();
      if (!session->bio_->Put(slot, data, size, session->more_, &session->error_)) return 0;
      *written = size;
      return 1;
    });
    BIO_meth_set_ctrl(method_, BioControl);
  }
  BIO* bio = BIO_new(method_);
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, slot);
  BIO_set_init(bio, 1);
  return bio;
}

bool SlotBio::Put(Slot* slot, const void* data, size_t size, bool more, int* error) {
  if (gathered_bytes_ == 0 && !more) return Send(slot, data, size, error);
  if (gathered_bytes_ + size > kGatherBytes) {
    const size_t gathered = gathered_bytes_;
    gathered_bytes_ = 0;
    if (!Send(slot, gathered_.get(), gathered, error)) return false;
    if (size > kGatherBytes) return Send(slot, data, size, error);
  }
  memcpy(gathered_.get() + gathered_bytes_, data, size);
  gathered_bytes_ += size;
  if (more) return true;
  size = gathered_bytes_;
  gathered_bytes_ = 0;
  return Send(slot, gathered_.get(), size, error);
}

// At once when nothing waits; what the socket does not take is queued, so OpenSSL never has to
// write a record twice.
bool SlotBio::Send(Slot* slot, const void* data, size_t size, int* error) {
  size_t sent = 0;
  if (slot->queue.Empty()) {
    const ssize_t result = send(slot->fd, data, size, MSG_NOSIGNAL);
    if (result < 0 && errno != EAGAIN && errno != EINTR) {
      *error = errno;
      return false;
    }
    if (result > 0) sent = static_cast<size_t>(result);
  }
  if (sent < size) slot->queue.Append(static_cast<const uint8_t*>(data) + sent, size - sent);
  return true;
}

TlsSession::TlsSession(SSL_CTX* context, bool server, std::vector<std::string> accepted)
    : context_(context), server_(server), accepted_(std::move(accepted)) {
  SSL_CTX_up_ref(context);
}

TlsSession::Progress TlsSession::Handshake(SlotBio* bio, Slot* slot) {
  ERR_clear_error();
  bio_ = bio;
  if (ssl_ == nullptr) {
    ssl_ = SSL_new(context_);
    BIO* socket = ssl_ == nullptr ? nullptr : bio->New(slot);
    if (socket == nullptr) return Progress::kRefused;
    SSL_set_bio(ssl_, socket, socket);
    SSL_set_app_data(ssl_, this);
    SSL_set_info_callback(ssl_, OnInfo);
    if (server_) {
      SSL_set_accept_state(ssl_);
    } else {
      SSL_set_connect_state(ssl_);
    }
  }
  errno = 0;
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) {
    accepted_ = {};
    return proven_ ? Progress::kDone : Progress::kRefused;
  }
  if (SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ) return Progress::kWaiting;
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  if (error == 0) {
    refusal_ = TlsRefusal::kClosed;
  } else if (ERR_GET_LIB(error) == ERR_LIB_SSL) {
    switch (ERR_GET_REASON(error)) {
      case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        refusal_ = TlsRefusal::kNoCertificate;
        break;
      case SSL_R_NO_APPLICATION_PROTOCOL:
      case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
        refusal_ = TlsRefusal::kNoAlpn;
        break;
      default: /* what VerifyPeer() said, or kHandshake */
        break;
    }
  }
  return Progress::kRefused;
}

int TlsSession::VerifyPeer(X509_STORE_CTX* store, void*) {
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* session = static_cast<TlsSession*>(SSL_get_app_data(ssl));
  X509_STORE_CTX_set_verify_cb(store, TolerateMissingLists);
  if (X509_verify_cert(store) != 1) {
    session->refusal_ = RefusalOfChain(X509_STORE_CTX_get_error(store));
    return 0;
  }
  if (HasAlpn(ssl) ? session->CheckLeaf(X509_STORE_CTX_get0_cert(store))
                   : (session->refusal_ = TlsRefusal::kNoAlpn, false)) {
    /* what TolerateMissingLists() passed over must not stay the result */
    X509_STORE_CTX_set_error(store, X509_V_OK);
    session->proven_ = true;
    return 1;
  }
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

bool TlsSession::CheckLeaf(X509* leaf) {
  refusal_ = TlsRefusal::kUntrusted;
  /* A leaf that could sign would pass its holder's children off as anybody (X509-SVID 4.1, 4.3). */
  if (X509_check_ca(leaf) != 0) return false;
  const uint32_t usage = X509_get_key_usage(leaf);
  if (usage != UINT32_MAX && (usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) != 0) return false;
  const std::vector<std::string> ids = SpiffeIds(leaf);
  if (ids.empty()) {
    refusal_ = TlsRefusal::kNoSpiffeId;
    return false;
  }
  /* ztunnel: a server asks the first id for its trust domain, a client is content with any of them
   */
  refusal_ = server_ ? TlsRefusal::kWrongTrustDomain : TlsRefusal::kUnexpectedId;
  const auto is_accepted = [this](std::string_view value) {
    return std::find(accepted_.begin(), accepted_.end(), value) != accepted_.end();
  };
  const bool accepted = server_ ? is_accepted(TrustDomainOf(ids.front()))
                                : std::any_of(ids.begin(), ids.end(), is_accepted);
  if (accepted) refusal_ = TlsRefusal::kHandshake;
  return accepted;
}

TlsSession::Input TlsSession::Read(uint8_t* data, size_t size, size_t* got) {
  *got = 0;
  ERR_clear_error();
  errno = 0;
  while (*got < size) {
    size_t bytes = 0;
    const int result = SSL_read_ex(ssl_, data + *got, size - *got, &bytes);
    if (result == 1) {
      *got += bytes;
      if (!HasInput()) return Input::kBytes;
      continue;
    }
    switch (SSL_get_error(ssl_, result)) {
      case SSL_ERROR_WANT_READ:
        return *got > 0 ? Input::kBytes : Input::kWaiting;
      case SSL_ERROR_ZERO_RETURN:
        return Input::kEnd;
      default:
        NoteFailure(errno);
        return Input::kError;
    }
  }
  return Input::kBytes;
}

bool TlsSession::Write(const uint8_t* data, size_t size, bool more) {
  ERR_clear_error();
  while (size > 0) {
    const size_t record = std::min(size, kRecordBytes);
    more_ = more || record < size;
    size_t written = 0;
    if (SSL_write_ex(ssl_, data, record, &written) != 1) {
      bio_->Drop();
      NoteFailure(error_);
      return false;
    }
    data += written;
    size -= written;
  }
  return true;
}

void TlsSession::End() {
  more_ = false;
  ERR_clear_error();
  if (ssl_ != nullptr) SSL_shutdown(ssl_);
  ERR_clear_error();
}

void TlsSession::NoteFailure(int error) {
  error_ = ERR_peek_last_error() == 0 && error != 0 ? error : EPROTO;
  ERR_clear_error();
}

void TlsSession::OnInfo(const SSL* ssl, int where, int value) {
  if ((where & SSL_CB_READ_ALERT) != SSL_CB_READ_ALERT || (value & 0xff) == 0) return;
  static_cast<TlsSession*>(SSL_get_app_data(ssl))->alert_ = value & 0xff;
}

}  // namespace podwire
