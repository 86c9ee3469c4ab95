#include "transport_core.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace podwire {
namespace {

enum EventType : int32_t {
  kAccepted = 1,   // listener, id, offset of its addresses; the length is in the type's upper bytes
  kData = 2,       // id, offset, length
  kEnd = 3,        // id
  kDrain = 4,      // id
  kClosed = 5,     // id, errno (0: both directions had ended), the peer's TLS alert
  kConnected = 6,  // id
  kSecured = 7,    // id
  kRefused = 8,    // id, TlsRefusal
  kAcceptFailed = 9,  // id, errno
};

enum OpType : int32_t {
  kWrite = 1,      // id, offset, length
  kHalfClose = 2,  // id
  kClose = 3,      // id, 1: reset
  kPause = 4,      // id
  kResume = 5,     // id; the first one starts the reading
};

constexpr size_t kAlign = 64;
constexpr int kMaxParts = 64;
constexpr size_t kStageBytes = 4 * 16384;
constexpr uint32_t kWakeId = 0;  // no socket has generation 0

int SocketError(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

void SetLinger(int fd, bool reset) {
  const linger value = {reset ? 1 : 0, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, sizeof value);
}

void SetNoDelay(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// "ADDRESS PORT" at `out`, IPv4 not mapped; its length.
int FormatEndpoint(const sockaddr_storage& from, char* out, size_t size) {
  char text[INET6_ADDRSTRLEN] = "";
  uint16_t port = 0;
  if (from.ss_family == AF_INET6) {
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(from);
    port = ntohs(in6.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
      inet_ntop(AF_INET, in6.sin6_addr.s6_addr + 12, text, sizeof text);
    } else {
      inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof text);
    }
  } else {
    const auto& in = reinterpret_cast<const sockaddr_in&>(from);
    port = ntohs(in.sin_port);
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
  }
  return snprintf(out, size, "%s %u", text, port);
}

// 0, or -errno for a text that is no address of the socket's family.
int ToSockaddr(int fd, const std::string& address, uint16_t port, sockaddr_storage* out,
               socklen_t* length) {
  int family = 0;
  socklen_t size = sizeof family;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) return -errno;
  *out = {};
  auto* in = reinterpret_cast<sockaddr_in*>(out);
  auto* in6 = reinterpret_cast<sockaddr_in6*>(out);
  in_addr v4;
  const bool is_v4 = inet_pton(AF_INET, address.c_str(), &v4) == 1;
  if (family == AF_INET) {
    if (!is_v4) return -EAFNOSUPPORT;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    in->sin_addr = v4;
    *length = sizeof *in;
    return 0;
  }
  in6->sin6_family = AF_INET6;
  in6->sin6_port = htons(port);
  *length = sizeof *in6;
  if (is_v4) {
    in6->sin6_addr.s6_addr[10] = in6->sin6_addr.s6_addr[11] = 0xff;
    memcpy(in6->sin6_addr.s6_addr + 12, &v4, sizeof v4);
    return 0;
  }
  return inet_pton(AF_INET6, address.c_str(), &in6->sin6_addr) == 1 ? 0 : -EINVAL;
}

}  // namespace

TransportCore::TransportCore(const Memory& memory)
    : memory_(memory),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      next_op_(kMaxOps),
      stage_(new uint8_t[kStageBytes]) {
  epoll_event event = {.events = EPOLLIN, .data = {.u32 = kWakeId}};
  if (epoll_.Get() < 0 || wake_.Get() < 0 ||
      epoll_ctl(epoll_.Get(), EPOLL_CTL_ADD, wake_.Get(), &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll");
  }
}

int32_t TransportCore::Listen(int fd) {
  UniqueFd owned(fd);
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return -errno;
  int accepts = 0;
  socklen_t length = sizeof accepts;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &length) != 0) return -errno;
  if (accepts == 0) return -EINVAL;
  Slot* slot = slots_.Add(fd, SlotKind::kListener);
  if (slot == nullptr) return -ENFILE;
  owned.Release();
  slot->wants_read = true;
  const uint32_t id = slot->id;
  Arm(slot);
  return static_cast<int32_t>(id);
}

int32_t TransportCore::Connect(int fd, const std::string& address, uint16_t port) {
  UniqueFd owned(fd);
  sockaddr_storage to;
  socklen_t length = 0;
  const int unusable = ToSockaddr(fd, address, port, &to, &length);
  if (unusable != 0) return unusable;
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return -errno;
  SetNoDelay(fd);
  /* Within a machine the handshake is over when the first call returns, but only the second one
     says so: a wake-up less. */
  const auto* address_of = reinterpret_cast<const sockaddr*>(&to);
  bool connected = connect(fd, address_of, length) == 0;
  if (!connected && errno != EINPROGRESS) return -errno;
  if (!connected) connected = connect(fd, address_of, length) == 0;
  if (!connected && errno != EALREADY) return -errno;
  Slot* slot = slots_.Add(fd, SlotKind::kConnecting);
  if (slot == nullptr) return -ENFILE;
  owned.Release();
  const uint32_t id = slot->id;
  if (connected) {
    ready_.push_back(id);
  } else {
    slot->wants_write = true;
    Arm(slot);
  }
  return static_cast<int32_t>(id);
}

bool TransportCore::Secure(uint32_t id, SSL_CTX* context, bool server,
                           std::vector<std::string> accepted) {
  Slot* slot = slots_.Find(id);
  if (slot == nullptr || slot->tls != nullptr) return false;
  if (slot->kind != SlotKind::kConnecting && slot->kind != SlotKind::kStream) return false;
  slot->tls = std::make_unique<TlsSession>(context, server, std::move(accepted));
  if (slot->kind == SlotKind::kStream) {
    slot->kind = SlotKind::kHandshake;
    Arm(slot);
  }
  return true;
}

const TlsSession* TransportCore::Tls(uint32_t id) {
  const Slot* slot = slots_.Find(id);
  return slot == nullptr || slot->kind != SlotKind::kStream ? nullptr : slot->tls.get();
}

void TransportCore::Put(int32_t type, uint32_t id, int32_t a, int32_t b) {
  int32_t* event = memory_.events + 4 * event_count_++;
  event[0] = type;
  event[1] = static_cast<int32_t>(id);
  event[2] = a;
  event[3] = b;
}

/* One slot may say three things: its queue is empty, bytes, an end. */
bool TransportCore::HasRoom() const {
  return event_count_ + 4 <= kMaxEvents && arena_used_ + kGap + kReadBytes + kAlign <= kReadArena;
}

uint32_t TransportCore::Poll() {
  slots_.Recycle();
  polls_++;
  event_count_ = 0;
  arena_used_ = 0;
  handshakes_ = 0;
  polling_ = true;
  size_t told = 0;
  for (; told < notices_.size() && HasRoom(); told++) {
    Put(kClosed, notices_[told].id, notices_[told].error, notices_[told].alert);
  }
  notices_.erase(notices_.begin(), notices_.begin() + static_cast<ptrdiff_t>(told));
  ReadReady();
  /* What found no room the last time goes first: the set would tell the same ones first again. */
  size_t done = 0;
  while (done < unread_.size() && HasRoom()) Dispatch(unread_[done++]);
  unread_.erase(unread_.begin(), unread_.begin() + static_cast<ptrdiff_t>(done));
  epoll_event happened[kBatch];
  const int count = HasRoom() ? epoll_wait(epoll_.Get(), happened, kBatch, 0) : 0;
  int at = 0;
  while (at < count && HasRoom()) Dispatch(happened[at++]);
  if (at < count) unread_.assign(happened + at, happened + count);
  polling_ = false;
  return event_count_;
}

/* With half of the room at most: these must not keep the others' events out. */
void TransportCore::ReadReady() {
  std::vector<uint32_t> ready;
  ready.swap(ready_);
  size_t at = 0;
  for (; at < ready.size() && HasRoom() && arena_used_ < kReadArena / 2; at++) {
    Slot* slot = slots_.Find(ready[at]);
    if (slot == nullptr) continue;
    if (slot->kind == SlotKind::kConnecting) {
      FinishConnect(slot);
      continue;
    }
    slot->reads_again = false;
    if (slot->wants_read && !slot->saw_end) ReadTls(slot);
  }
  ready_.insert(ready_.begin(), ready.begin() + static_cast<ptrdiff_t>(at), ready.end());
}

void TransportCore::Dispatch(const epoll_event& event) {
  if (event.data.u32 == kWakeId) {
    uint64_t value;
    if (read(wake_.Get(), &value, sizeof value) >= 0) awake_ = false;
    return;
  }
  Slot* slot = slots_.Find(event.data.u32);
  if (slot != nullptr) HandleEvent(slot, event.events);
}

void TransportCore::WakeIfPending() {
  if (awake_ || (notices_.empty() && ready_.empty())) return;
  const uint64_t one = 1;
  awake_ = write(wake_.Get(), &one, sizeof one) == sizeof one;
}

void TransportCore::HandleEvent(Slot* slot, uint32_t events) {
  switch (slot->kind) {
    case SlotKind::kListener:
      return Accept(slot);
    case SlotKind::kConnecting:
      return FinishConnect(slot);
    case SlotKind::kHandshake:
      if (!slot->queue.Empty() && !SendQueue(slot)) return;
      return Handshake(slot);
    case SlotKind::kDiscard:
      if ((events & EPOLLOUT) != 0 && !SendQueue(slot)) return;
      if ((events & ~uint32_t{EPOLLOUT}) != 0) Discard(slot);
      return;
    case SlotKind::kStream:
      break;
    case SlotKind::kFree:
      return;
  }
  if ((events & EPOLLOUT) != 0 && !SendQueue(slot)) return;
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
  if (slot->wants_read && !slot->saw_end) return Read(slot, events);
  if (slot->saw_end && (events & (EPOLLHUP | EPOLLERR)) != 0) {
    /* The peer had ended and now resets, or what it sent after its end was refused. */
    const int error = SocketError(slot->fd);
    return Fail(slot, error != 0 ? error : ECONNRESET);
  }
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    /* Paused: bytes that came before the reset are still to be read, and epoll cannot be told to
       keep silent about these two. */
    return Unregister(slot);
  }
  /* Pausing is lazy: a pause that is soon taken back costs no system call. */
  Arm(slot);
}

void TransportCore::Accept(Slot* listener) {
  for (int i = 0; i < kAcceptsPerPoll && HasRoom(); i++) {
    sockaddr_storage remote = {};
    socklen_t length = sizeof remote;
    int fd = accept4(listener->fd, reinterpret_cast<sockaddr*>(&remote), &length,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    int error = fd < 0 ? errno : 0;
    Slot* slot = nullptr;
    if (error == 0) {
      slot = slots_.Add(fd, SlotKind::kStream);
      if (slot == nullptr) {
        close(fd);
        error = ENFILE;
      }
    }
    if (error == EAGAIN) return;
    if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
      /* The queue stays readable: without a rest this would be a busy loop. Resume ends it. */
      Put(kAcceptFailed, listener->id, error);
      return Unregister(listener);
    }
    if (error != 0) continue; /* that connection has died in the queue */
    SetNoDelay(fd);
    PutAccepted(listener, slot, remote);
  }
}

void TransportCore::PutAccepted(const Slot* listener, const Slot* slot,
                                const sockaddr_storage& remote) {
  sockaddr_storage local = {};
  socklen_t length = sizeof local;
  getsockname(slot->fd, reinterpret_cast<sockaddr*>(&local), &length);
  char* text = reinterpret_cast<char*>(memory_.arena + arena_used_);
  int size = snprintf(text, 16, "%d ", slot->fd);
  size += FormatEndpoint(local, text + size, 64);
  text[size++] = ' ';
  size += FormatEndpoint(remote, text + size, 64);
  Put(kAccepted | size << 8, listener->id, static_cast<int32_t>(slot->id),
      static_cast<int32_t>(arena_used_));
  arena_used_ += 2 * kAlign + kAlign;
}

void TransportCore::FinishConnect(Slot* slot) {
  const int error = SocketError(slot->fd);
  if (error != 0) return Fail(slot, error);
  Put(kConnected, slot->id);
  if (slot->tls != nullptr) {
    slot->kind = SlotKind::kHandshake;
    return Handshake(slot);
  }
  slot->kind = SlotKind::kStream;
  slot->wants_write = false; /* disarmed when it is started, or fires once more */
}

void TransportCore::Handshake(Slot* slot) {
  if (++handshakes_ > kHandshakesPerPoll) {
    /* Those in the set are told of again; one that was connected at once is not in it yet. */
    if (!slot->registered) {
      slot->wants_write = true;
      Arm(slot);
    }
    return;
  }
  switch (slot->tls->Handshake(&bio_, slot)) {
    case TlsSession::Progress::kWaiting:
      break;
    case TlsSession::Progress::kDone:
      slot->kind = SlotKind::kStream;
      break;
    case TlsSession::Progress::kRefused:
      slot->kind = SlotKind::kDiscard;
      slot->end_asked = true;
      Put(kRefused, slot->id, static_cast<int32_t>(slot->tls->Refusal()));
      if (slot->queue.Empty()) SendEnd(slot);
      break;
  }
  slot->wants_write = !slot->queue.Empty();
  Arm(slot);
  if (slot->kind == SlotKind::kStream) Put(kSecured, slot->id);
}

void TransportCore::Read(Slot* slot, uint32_t events) {
  if (slot->tls != nullptr) {
    /* once in a poll, so that a handler that pauses hears nothing more */
    if (slot->read_in != polls_) ReadTls(slot);
    return;
  }
  const size_t at = arena_used_ + kGap;
  const ssize_t got = recv(slot->fd, memory_.arena + at, kReadBytes, 0);
  if (got > 0) {
    Put(kData, slot->id, static_cast<int32_t>(at), static_cast<int32_t>(got));
    arena_used_ = (at + static_cast<size_t>(got) + kAlign - 1) & ~(kAlign - 1);
    return;
  }
  int error = errno;
  if (got == 0) {
    /* recv() also says 0 for a reset that came after bytes were left unread. */
    error = SocketError(slot->fd);
    return error == 0 ? SawEnd(slot) : Fail(slot, error);
  }
  if (error == EAGAIN || error == EINTR) {
    /* Spliced sockets wake up for bytes that are gone already. An error that is not told would wake
     * us for ever. */
    if ((events & (EPOLLERR | EPOLLHUP)) == 0) return;
    error = SocketError(slot->fd);
    if (error == 0) error = ECONNRESET;
  }
  Fail(slot, error);
}

void TransportCore::ReadTls(Slot* slot) {
  slot->read_in = polls_;
  const size_t at = arena_used_ + kGap;
  size_t got = 0;
  const TlsSession::Input input = slot->tls->Read(memory_.arena + at, kReadBytes, &got);
  if (got > 0) {
    Put(kData, slot->id, static_cast<int32_t>(at), static_cast<int32_t>(got));
    arena_used_ = (at + got + kAlign - 1) & ~(kAlign - 1);
  }
  /* an answer to the peer's key update may wait in the queue */
  if (!slot->queue.Empty() && !slot->wants_write) {
    slot->wants_write = true;
    Arm(slot);
  }
  switch (input) {
    case TlsSession::Input::kEnd:
      return SawEnd(slot);
    case TlsSession::Input::kError:
      return Fail(slot, slot->tls->Error(), slot->tls->Alert());
    case TlsSession::Input::kBytes:
      if (slot->tls->HasInput()) ReadLater(slot);
      return;
    case TlsSession::Input::kWaiting:
      return;
  }
}

void TransportCore::ReadLater(Slot* slot) {
  if (slot->reads_again) return;
  slot->reads_again = true;
  ready_.push_back(slot->id);
}

void TransportCore::SawEnd(Slot* slot) {
  slot->saw_end = true;
  Put(kEnd, slot->id);
  if (slot->end_sent) Finish(slot);
}

void TransportCore::Discard(Slot* slot) {
  for (int i = 0; i < 4; i++) {
    const ssize_t got = recv(slot->fd, memory_.arena + arena_used_ + kGap, kReadBytes, 0);
    if (got > 0) continue;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    return Finish(slot);
  }
}

bool TransportCore::SendQueue(Slot* slot) {
  while (!slot->queue.Empty()) {
    const ssize_t sent = send(slot->fd, slot->queue.Data(), slot->queue.Size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN || errno == EINTR) return true;
      Fail(slot, errno);
      return false;
    }
    slot->queue.Consume(static_cast<size_t>(sent));
  }
  slot->wants_write = false;
  Arm(slot);
  if (slot->blocked) {
    slot->blocked = false;
    memory_.blocked[slot->id % SlotTable::kMaxSlots] = 0;
    Put(kDrain, slot->id);
  }
  if (slot->end_asked && !slot->end_sent) {
    SendEnd(slot);
    return slot->kind != SlotKind::kFree;
  }
  return true;
}

void TransportCore::Flush() {
  const int32_t count = memory_.ops[0];
  memory_.ops[0] = 0;
  const int32_t* ops = memory_.ops + kOpsHead;
  /* The operations of one socket leave in one system call, whatever came between them. */
  for (int32_t i = 0; i < count && i < static_cast<int32_t>(kMaxOps); i++) {
    Slot* slot = slots_.Find(static_cast<uint32_t>(ops[4 * i + 1]));
    if (slot == nullptr) continue;
    next_op_[i] = -1;
    if (slot->first_op < 0) {
      slot->first_op = i;
      touched_.push_back(slot);
    } else {
      next_op_[slot->last_op] = i;
    }
    slot->last_op = i;
  }
  for (Slot* slot : touched_) RunOps(slot);
  touched_.clear();
  memory_.ops[1] = 0;
}

void TransportCore::RunOps(Slot* slot) {
  const int32_t* ops = memory_.ops + kOpsHead;
  int32_t at = slot->first_op;
  slot->first_op = -1;
  iovec parts[kMaxParts];
  while (at >= 0) {
    int count = 0;
    for (; at >= 0 && ops[4 * at] == kWrite; at = next_op_[at]) {
      const auto offset = static_cast<uint32_t>(ops[4 * at + 2]);
      const auto length = static_cast<uint32_t>(ops[4 * at + 3]);
      if (uint64_t{offset} + length > kReadArena + kWriteArena) continue;
      uint8_t* base = memory_.arena + offset;
      if (count > 0 &&
          static_cast<uint8_t*>(parts[count - 1].iov_base) + parts[count - 1].iov_len == base) {
        parts[count - 1].iov_len += length;
        continue;
      }
      if (count == kMaxParts) break;
      parts[count++] = {base, length};
    }
    if (count > 0) {
      if (!Write(slot, parts, count)) return;
      continue;
    }
    if (at < 0) return;
    const int32_t* op = ops + 4 * at;
    at = next_op_[at];
    switch (op[0]) {
      case kHalfClose:
        if (slot->kind != SlotKind::kStream || slot->end_asked) break;
        slot->end_asked = true;
        if (slot->tls != nullptr) slot->tls->End();
        if (slot->queue.Empty()) {
          SendEnd(slot);
          if (slot->kind == SlotKind::kFree) return;
        } else if (!slot->wants_write) {
          slot->wants_write = true;
          Arm(slot);
        }
        break;
      case kClose:
        return Close(slot, op[2] != 0);
      case kPause:
        slot->wants_read = false;
        break;
      case kResume:
        Resume(slot);
        break;
      default:
        break;
    }
  }
}

bool TransportCore::Write(Slot* slot, iovec* parts, int count) {
  if (slot->kind != SlotKind::kStream || slot->end_asked) return true;
  if (slot->tls != nullptr) {
    if (!WriteTls(slot, parts, count)) return false;
  } else {
    int first = 0;
    if (slot->queue.Empty()) {
      const msghdr message = {.msg_name = nullptr,
                              .msg_namelen = 0,
                              .msg_iov = parts,
                              .msg_iovlen = static_cast<size_t>(count),
                              .msg_control = nullptr,
                              .msg_controllen = 0,
                              .msg_flags = 0};
      const ssize_t result = sendmsg(slot->fd, &message, MSG_NOSIGNAL);
      if (result < 0 && errno != EAGAIN && errno != EINTR) {
        Fail(slot, errno);
        return false;
      }
      auto sent = result < 0 ? size_t{0} : static_cast<size_t>(result);
      while (first < count && sent >= parts[first].iov_len) sent -= parts[first++].iov_len;
      if (first < count) {
        parts[first].iov_base = static_cast<uint8_t*>(parts[first].iov_base) + sent;
        parts[first].iov_len -= sent;
      }
    }
    for (; first < count; first++) {
      slot->queue.Append(static_cast<uint8_t*>(parts[first].iov_base), parts[first].iov_len);
    }
  }
  if (slot->queue.Empty()) return true;
  if (!slot->wants_write) {
    slot->wants_write = true;
    Arm(slot);
    if (slot->kind == SlotKind::kFree) return false;
  }
  if (slot->queue.Size() > kHighWater && !slot->blocked) {
    slot->blocked = true;
    memory_.blocked[slot->id % SlotTable::kMaxSlots] = 1;
  }
  return true;
}

/* A record for each part would cost more than copying the small ones together. */
bool TransportCore::WriteTls(Slot* slot, const iovec* parts, int count) {
  int at = 0;
  while (at < count) {
    const auto* data = static_cast<const uint8_t*>(parts[at].iov_base);
    size_t size = parts[at].iov_len;
    int next = at + 1;
    if (next < count && size + parts[next].iov_len <= kStageBytes) {
      memcpy(stage_.get(), data, size);
      for (; next < count && size + parts[next].iov_len <= kStageBytes; next++) {
        memcpy(stage_.get() + size, parts[next].iov_base, parts[next].iov_len);
        size += parts[next].iov_len;
      }
      data = stage_.get();
    }
    if (!slot->tls->Write(data, size, next < count)) {
      Fail(slot, slot->tls->Error());
      return false;
    }
    at = next;
  }
  return true;
}

/* Everything has left. For TLS close_notify went with it. */
void TransportCore::SendEnd(Slot* slot) {
  slot->end_sent = true;
  shutdown(slot->fd, SHUT_WR);
  if (slot->saw_end) Finish(slot);
}

void TransportCore::Resume(Slot* slot) {
  if (slot->kind != SlotKind::kStream && slot->kind != SlotKind::kListener) return;
  slot->wants_read = true;
  if (slot->saw_end) return;
  if (slot->tls != nullptr && slot->tls->HasInput()) ReadLater(slot);
  Arm(slot);
}

void TransportCore::Close(Slot* slot, bool reset) {
  if (!reset && slot->tls != nullptr && slot->kind == SlotKind::kStream && !slot->end_asked &&
      slot->queue.Empty()) {
    slot->tls->End();
  }
  if (slot->kind != SlotKind::kListener) SetLinger(slot->fd, reset);
  Remove(slot);
}

void TransportCore::Gone(Slot* slot, int error, int alert, bool orderly) {
  if (orderly) SetLinger(slot->fd, false);
  const uint32_t id = slot->id;
  Remove(slot);
  if (polling_) {
    Put(kClosed, id, error, alert);
  } else {
    notices_.push_back({id, error, alert});
  }
}

void TransportCore::Arm(Slot* slot) {
  const bool in = slot->kind == SlotKind::kHandshake || slot->kind == SlotKind::kDiscard ||
                  (slot->wants_read && !slot->saw_end);
  const uint32_t events = (in ? EPOLLIN : 0U) | (slot->wants_write ? EPOLLOUT : 0U);
  if (slot->registered ? slot->armed == events : events == 0) return;
  epoll_event event = {.events = events, .data = {.u32 = slot->id}};
  const int operation = slot->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (epoll_ctl(epoll_.Get(), operation, slot->fd, &event) != 0) return Fail(slot, errno);
  waiting_ += (events != 0) - (slot->armed != 0);
  slot->registered = true;
  slot->armed = events;
}

/* Explicitly: a duplicate of the descriptor elsewhere would keep a closed one in the set. */
void TransportCore::Unregister(Slot* slot) {
  if (!slot->registered) return;
  epoll_ctl(epoll_.Get(), EPOLL_CTL_DEL, slot->fd, nullptr);
  waiting_ -= slot->armed != 0;
  slot->registered = false;
  slot->armed = 0;
}

void TransportCore::Remove(Slot* slot) {
  Unregister(slot);
  memory_.blocked[slot->id % SlotTable::kMaxSlots] = 0;
  slots_.Remove(slot);
}

}  // namespace podwire
