#include "transport_slots.h"

#include <unistd.h>

#include <algorithm>
#include <new>

namespace podwire {
namespace {

constexpr size_t kLeastCapacity = 4096;
constexpr uint32_t kMaxGeneration = 0x7fffffff >> SlotTable::kIndexBits;  // ids are positive int32

}  // namespace

void ByteQueue::Append(const uint8_t* data, size_t size) {
  if (capacity_ - end_ < size) {
    const size_t live = Size();
    if (begin_ >= live && capacity_ - live >= size) {
      /* no overlap: at least half of what is in use has been sent */
      memcpy(bytes_, bytes_ + begin_, live);
    } else {
      const size_t capacity = std::max({kLeastCapacity, live + size, capacity_ * 2});
      auto* bytes = static_cast<uint8_t*>(malloc(capacity));
      if (bytes == nullptr) throw std::bad_alloc();
      if (live > 0) memcpy(bytes, bytes_ + begin_, live);
      free(bytes_);
      bytes_ = bytes;
      capacity_ = capacity;
    }
    begin_ = 0;
    end_ = live;
  }
  memcpy(bytes_ + end_, data, size);
  end_ += size;
}

SlotTable::~SlotTable() {
  for (uint32_t index = 0; index < used_; index++) {
    if (At(index).kind != SlotKind::kFree) close(At(index).fd);
  }
}

Slot* SlotTable::Add(int fd, SlotKind kind) {
  uint32_t index;
  if (!free_.empty()) {
    index = free_.back();
    free_.pop_back();
  } else if (used_ < kMaxSlots) {
    index = used_++;
    if (index % kBlock == 0) blocks_.push_back(std::make_unique<Slot[]>(kBlock));
  } else {
    return nullptr;
  }
  Slot* slot = &At(index);
  const uint32_t generation = slot->id >> kIndexBits;
  const uint32_t next = generation == kMaxGeneration ? 1 : generation + 1;
  slot->~Slot();
  new (slot) Slot();
  slot->id = next << kIndexBits | index;
  slot->fd = fd;
  slot->kind = kind;
  return slot;
}

void SlotTable::Remove(Slot* slot) {
  close(slot->fd);
  slot->fd = -1;
  slot->kind = SlotKind::kFree;
  slot->tls.reset();
  slot->queue.Clear();
  removed_.push_back(slot->id % kMaxSlots);
}

void SlotTable::Recycle() {
  free_.insert(free_.end(), removed_.begin(), removed_.end());
  removed_.clear();
}

}  // namespace podwire
