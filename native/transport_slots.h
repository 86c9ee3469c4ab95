// The sockets of one transport by number.  A number carries a generation, so that what was meant
// for a closed socket never reaches the next one in its place.
#ifndef PODWIRE_NATIVE_TRANSPORT_SLOTS_H_
#define PODWIRE_NATIVE_TRANSPORT_SLOTS_H_

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "tls_session.h"

namespace podwire {

// Bytes that the kernel has not taken yet; holds no memory while empty.
class ByteQueue {
 public:
  ByteQueue() = default;
  ByteQueue(const ByteQueue&) = delete;
  ByteQueue& operator=(const ByteQueue&) = delete;
  ~ByteQueue() { free(bytes_); }

  const uint8_t* Data() const { return bytes_ + begin_; }
  size_t Size() const { return end_ - begin_; }
  bool Empty() const { return begin_ == end_; }

  void Append(const uint8_t* data, size_t size);
  void Consume(size_t size) {
    begin_ += size;
    if (Empty()) Clear();
  }
  void Clear() {
    free(bytes_);
    bytes_ = nullptr;
    begin_ = end_ = capacity_ = 0;
  }

 private:
  uint8_t* bytes_ = nullptr;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t capacity_ = 0;
};

enum class SlotKind : uint8_t {
  kFree,
  kListener,
  kConnecting,
  kHandshake,
  kStream,
  // A refused TLS peer: reads and forgets until the peer ends, so that our alert is not overtaken
  // by the RST that unread bytes would cause.
  kDiscard,
};

struct Slot {
  int fd = -1;
  uint32_t id = 0;
  SlotKind kind = SlotKind::kFree;
  bool wants_read : 1 = false;   // resumed
  bool wants_write : 1 = false;  // connects, or the queue waits for the socket
  bool registered : 1 = false;   // in the epoll set
  bool saw_end : 1 = false;      // the peer's FIN or close_notify
  bool end_asked : 1 = false;    // our half-close, maybe behind the queue
  bool end_sent : 1 = false;     // our FIN
  bool blocked : 1 = false;      // the queue passed the high-water mark
  bool reads_again : 1 = false;  // TLS has bytes that epoll knows nothing of
  uint32_t armed = 0;            // for these events
  uint32_t read_in = 0;          // the poll that read it last
  int32_t first_op = -1;         // of the flush in progress
  int32_t last_op = -1;
  ByteQueue queue;
  std::unique_ptr<TlsSession> tls;
};

class SlotTable {
 public:
  static constexpr uint32_t kIndexBits = 17;
  static constexpr uint32_t kMaxSlots = 1U << kIndexBits;

  SlotTable() = default;
  SlotTable(const SlotTable&) = delete;
  SlotTable& operator=(const SlotTable&) = delete;
  // Closes what is still open.
  ~SlotTable();

  // A new number for `fd`, or nullptr when there are too many.  Slots never move.
  Slot* Add(int fd, SlotKind kind);
  // nullptr when that socket is gone
  Slot* Find(uint32_t id) {
    const uint32_t index = id % kMaxSlots;
    if (index >= used_) return nullptr;
    Slot* slot = &At(index);
    return slot->id == id && slot->kind != SlotKind::kFree ? slot : nullptr;
  }
  // Closes the descriptor.  The place is given out again after the next Recycle().
  void Remove(Slot* slot);
  void Recycle();

 private:
  static constexpr uint32_t kBlock = 512;

  Slot& At(uint32_t index) { return blocks_[index / kBlock][index % kBlock]; }

  std::vector<std::unique_ptr<Slot[]>> blocks_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> removed_;
  uint32_t used_ = 0;
};

}  // namespace podwire

#endif  // PODWIRE_NATIVE_TRANSPORT_SLOTS_H_
