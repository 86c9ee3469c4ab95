// Sockets of one thread behind one epoll set: a poll() that gathers what happened to all of them,
// a flush() that does what was asked of all of them.  No protocol but TLS, no JS.
//
// One shared block of memory: what poll() read, then room for what JS writes.  Events and
// operations are four int32 each; src/kernel/transport-ring.ts has their numbers.
#ifndef PODWIRE_NATIVE_TRANSPORT_CORE_H_
#define PODWIRE_NATIVE_TRANSPORT_CORE_H_

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include <memory>
#include <string>
#include <vector>

#include "handle.h"
#include "tls_session.h"
#include "transport_slots.h"

namespace podwire {

class TransportCore {
 public:
  // One read; with a frame's head in front of it (kGap) it still fits four TLS records.
  static constexpr size_t kReadBytes = 4 * 16384 - 16;
  // Free bytes before each read: a head can be put there, in place.
  static constexpr size_t kGap = 16;
  static constexpr size_t kReadArena = 1 << 20;
  static constexpr size_t kWriteArena = 256 << 10;
  static constexpr uint32_t kMaxEvents = 1024;
  static constexpr uint32_t kMaxOps = 4096;
  // Ops begin after a head: their number, and the bytes of the write arena in use.
  static constexpr uint32_t kOpsHead = 4;

  struct Memory {
    uint8_t* arena;    // kReadArena + kWriteArena
    int32_t* events;   // 4 * kMaxEvents
    int32_t* ops;      // kOpsHead + 4 * kMaxOps
    uint8_t* blocked;  // SlotTable::kMaxSlots: 1 while send() returns false
  };

  // Throws std::system_error.
  explicit TransportCore(const Memory& memory);

  int EpollFd() const { return epoll_.Get(); }
  // Whether anything is waited for: what is paused keeps no thread alive, as in libuv.
  bool IsWaiting() const { return waiting_ > 0 || !ready_.empty(); }

  // These take the descriptor; id, or -errno and the descriptor is closed.
  int32_t Listen(int fd);
  int32_t Connect(int fd, const std::string& address, uint16_t port);
  // TLS on an accepted or connecting socket that nothing was read from.
  bool Secure(uint32_t id, SSL_CTX* context, bool server, std::vector<std::string> accepted);
  const TlsSession* Tls(uint32_t id);

  // Whether flush() has work.
  bool HasOps() const { return memory_.ops[0] > 0; }
  void Flush();
  // The number of events; 0: nothing to do.
  uint32_t Poll();
  // Before the thread sleeps: makes the epoll set readable if Poll() has work that it does not
  // show.
  void WakeIfPending();

 private:
  static constexpr int kBatch = 256;
  static constexpr size_t kHighWater = 64 << 10;
  static constexpr int kAcceptsPerPoll = 64;
  // A handshake step costs up to a millisecond: others get their turn in between.
  static constexpr int kHandshakesPerPoll = 8;

  void Put(int32_t type, uint32_t id, int32_t a = 0, int32_t b = 0);
  bool HasRoom() const;

  void ReadReady();
  void Dispatch(const epoll_event& event);
  void HandleEvent(Slot* slot, uint32_t events);
  void Accept(Slot* listener);
  void PutAccepted(const Slot* listener, const Slot* slot, const sockaddr_storage& remote);
  void FinishConnect(Slot* slot);
  void Handshake(Slot* slot);
  void Read(Slot* slot, uint32_t events);
  void ReadTls(Slot* slot);
  void SawEnd(Slot* slot);
  void Discard(Slot* slot);
  // false: the slot is gone
  bool SendQueue(Slot* slot);

  void RunOps(Slot* slot);
  bool Write(Slot* slot, iovec* parts, int count);
  bool WriteTls(Slot* slot, const iovec* parts, int count);
  void SendEnd(Slot* slot);
  void Resume(Slot* slot);
  void Close(Slot* slot, bool reset);

  // Both directions have ended: an orderly end whatever SO_LINGER says.
  void Finish(Slot* slot) { Gone(slot, 0, 0, true); }
  void Fail(Slot* slot, int error, int alert = 0) { Gone(slot, error, alert, false); }
  void Gone(Slot* slot, int error, int alert, bool orderly);
  void Arm(Slot* slot);
  void Unregister(Slot* slot);
  void Remove(Slot* slot);
  void ReadLater(Slot* slot);

  struct Notice {
    uint32_t id;
    int32_t error;
    int32_t alert;
  };

  Memory memory_;
  SlotBio bio_;  // before the sessions that use it
  SlotTable slots_;
  UniqueFd epoll_;
  UniqueFd wake_;
  bool awake_ = false;  // wake_ is readable
  bool polling_ = false;
  uint32_t polls_ = 0;
  uint32_t waiting_ = 0;  // slots that are armed for something
  uint32_t event_count_ = 0;
  size_t arena_used_ = 0;
  int handshakes_ = 0;
  std::vector<Notice> notices_;      // ends that no event has told yet
  std::vector<epoll_event> unread_;  // told by epoll, but there was no room
  std::vector<uint32_t> ready_;  // TLS sessions with bytes of their own, and connects that are over
  std::vector<int32_t> next_op_;  // chains of a flush
  std::vector<Slot*> touched_;
  std::unique_ptr<uint8_t[]> stage_;  // records are made of contiguous bytes
};

}  // namespace podwire

#endif  // PODWIRE_NATIVE_TRANSPORT_CORE_H_
