#include "map_batch.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <unordered_set>

namespace podwire {
namespace {

constexpr int kKernelNotSupported = 524;  // ENOTSUPP
constexpr uint32_t kBatchBytes = 1 << 20;

bool HasNoBatches(int error) {
  return error == -kKernelNotSupported || error == -EOPNOTSUPP || error == -EINVAL;
}

bool HasNoValues(int error) {
  return error == -kKernelNotSupported || error == -EOPNOTSUPP || error == -ENOSPC;
}

// Collects entries; tries and lists that are walked key by key start again from the front when the
// key they stand on is deleted, so repetitions are dropped and their number is bounded.
class Collector {
 public:
  Collector(const MapShape& map, MapEntries* entries)
      : map_(map),
        entries_(entries),
        repeats_(map.type != BPF_MAP_TYPE_HASH && map.type != BPF_MAP_TYPE_LRU_HASH &&
                 map.type != BPF_MAP_TYPE_ARRAY),
        budget_(16 * static_cast<uint64_t>(map.max_entries) + 1024) {}

  // Call once per entry met: false when the walk has become endless.
  bool Spend() { return budget_-- > 0; }
  void ExpectRepeats() { repeats_ = true; }

  bool IsNew(const uint8_t* key) {
    return !repeats_ || seen_.emplace(reinterpret_cast<const char*>(key), map_.key_size).second;
  }

  void Add(const uint8_t* key, const uint8_t* value) {
    entries_->keys.insert(entries_->keys.end(), key, key + map_.key_size);
    if (value != nullptr) {
      entries_->values.insert(entries_->values.end(), value, value + map_.value_size);
    }
    entries_->count++;
  }

 private:
  const MapShape& map_;
  MapEntries* entries_;
  bool repeats_;
  uint64_t budget_;
  std::unordered_set<std::string> seen_;
};

BatchResult Walk(const MapShape& map, MapEntries* entries) {
  Collector collector(map, entries);
  collector.ExpectRepeats();
  std::vector<uint8_t> key(map.key_size), next(map.key_size), value(map.value_size);
  bool readable = true;
  for (const uint8_t* from = nullptr;; from = key.data()) {
    const int error = bpf_map_get_next_key(map.fd, from, next.data());
    if (error == -ENOENT) return {0, "", entries->count};
    if (error != 0) return {error, "bpf_map_get_next_key", entries->count};
    if (!collector.Spend()) return {-EAGAIN, "bpf_map_get_next_key", entries->count};
    key.swap(next);
    if (readable) {
      const int read = bpf_map_lookup_elem(map.fd, key.data(), value.data());
      if (read == -ENOENT) continue;
      readable = !HasNoValues(read);
      if (read != 0 && readable) return {read, "bpf_map_lookup_elem", entries->count};
    }
    if (collector.IsNew(key.data())) collector.Add(key.data(), readable ? value.data() : nullptr);
  }
}

BatchResult DumpBatches(const MapShape& map, MapEntries* entries) {
  Collector collector(map, entries);
  const uint32_t entry_size = std::max(map.key_size + map.value_size, 1u);
  uint32_t size = std::clamp(kBatchBytes / entry_size, 64u, std::max(map.max_entries, 64u));
  std::vector<uint8_t> keys, values;
  /* A position is a key for some types, a u32 bucket for hashes. */
  const size_t position_size = std::max(map.key_size, 8u);
  std::vector<uint8_t> position(position_size), next(position_size);
  bool first = true;
  for (;;) {
    keys.resize(static_cast<size_t>(size) * map.key_size);
    values.resize(static_cast<size_t>(size) * map.value_size);
    uint32_t count = size;
    const int error = bpf_map_lookup_batch(map.fd, first ? nullptr : position.data(), next.data(),
                                           keys.data(), values.data(), &count, nullptr);
    if (error == -ENOSPC && size < (1u << 24)) {
      size *= 2; /* one bucket has more entries than this: same position, more room */
      continue;
    }
    /* EINTR, EAGAIN: keys vanished faster than the kernel followed; what it has is good. */
    const bool interrupted = error == -EINTR || error == -EAGAIN;
    if (error != 0 && error != -ENOENT && !interrupted) {
      return {error, "bpf_map_lookup_batch", entries->count};
    }
    if (!collector.Spend()) return {-EAGAIN, "bpf_map_lookup_batch", entries->count};
    for (uint32_t i = 0; i < count; i++) {
      if (!collector.Spend()) return {-EAGAIN, "bpf_map_lookup_batch", entries->count};
      const uint8_t* key = keys.data() + static_cast<size_t>(i) * map.key_size;
      if (!collector.IsNew(key)) continue;
      collector.Add(key, values.data() + static_cast<size_t>(i) * map.value_size);
    }
    if (error == -ENOENT) return {0, "", entries->count};
    if (count == 0 && interrupted) continue;
    position.swap(next);
    first = false;
  }
}

}  // namespace

BatchResult UpdateBatch(const MapShape& map, const uint8_t* keys, const uint8_t* values,
                        uint32_t count, uint64_t flags) {
  uint32_t done = 0;
  /* Batches know no BPF_NOEXIST and BPF_EXIST. */
  if (flags == 0 && count > 0) {
    uint32_t written = count;
    const int error = bpf_map_update_batch(map.fd, keys, values, &written, nullptr);
    if (error == 0) return {0, "", count};
    /* A refusal before the first entry leaves the count as it was. */
    done = written < count ? written : 0;
    if (!HasNoBatches(error)) return {error, "bpf_map_update_batch", done};
  }
  for (; done < count; done++) {
    const int error =
        bpf_map_update_elem(map.fd, keys + static_cast<size_t>(done) * map.key_size,
                            values + static_cast<size_t>(done) * map.value_size, flags);
    if (error != 0) return {error, "bpf_map_update_elem", done};
  }
  return {0, "", done};
}

BatchResult DeleteBatch(const MapShape& map, const uint8_t* keys, uint32_t count) {
  uint32_t deleted = 0, at = 0;
  bool batches = true;
  while (at < count) {
    const uint8_t* key = keys + static_cast<size_t>(at) * map.key_size;
    uint32_t taken = batches ? count - at : 1;
    int error;
    if (batches) {
      error = bpf_map_delete_batch(map.fd, key, &taken, nullptr);
      if (HasNoBatches(error)) {
        if (taken < count - at) {
          deleted += taken;
          at += taken;
        }
        batches = false;
        continue;
      }
    } else {
      error = bpf_map_delete_elem(map.fd, key);
      if (error != 0) taken = 0;
    }
    deleted += taken;
    at += taken;
    if (error == -ENOENT) {
      at++; /* batches stop at a key that is not there */
    } else if (error != 0) {
      return {error, batches ? "bpf_map_delete_batch" : "bpf_map_delete_elem", deleted};
    }
  }
  return {0, "", deleted};
}

BatchResult Dump(const MapShape& map, MapEntries* entries) {
  const BatchResult result = DumpBatches(map, entries);
  if (!HasNoBatches(result.error)) return result;
  *entries = {};
  return Walk(map, entries);
}

}  // namespace podwire
