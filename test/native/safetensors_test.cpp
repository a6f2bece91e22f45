#include <algorithm>
#include <csignal>
#include <filesystem>
#include <thread>

#include <sys/resource.h>
#include <sys/stat.h>

#include "base/error.h"
#include "check.h"
#include "model_bytes.h"

namespace {

namespace fs = std::filesystem;
using sdgen::DType;
using sdgen::ErrorCode;
using sdgen::NamedTensor;
using sdgen::WeightStore;
using sdgen_test::Bytes;
using sdgen_test::bytes_of;
using sdgen_test::f32;
using sdgen_test::open_bytes;
using sdgen_test::small_model;

bool same(const WeightStore& a, const WeightStore& b) {
  if (a.metadata() != b.metadata() || a.tensors().size() != b.tensors().size()) return false;
  for (size_t i = 0; i < a.tensors().size(); ++i) {
    const sdgen::TensorInfo &x = a.tensors()[i], &y = b.tensors()[i];
    if (x.name != y.name || x.dtype != y.dtype || x.shape != y.shape) return false;
    if (x.offset != y.offset || x.bytes != y.bytes) return false;
    Bytes left(x.bytes), right(y.bytes);
    a.read_raw(x, 0, left.data(), left.size());
    b.read_raw(y, 0, right.data(), right.size());
    if (left != right) return false;
  }
  return true;
}

}  // namespace

TEST(safetensors_every_type_round_trips) {
  const DType types[] = {DType::kF64, DType::kF32, DType::kF16,  DType::kBF16, DType::kI64,
                         DType::kI32, DType::kI16, DType::kI8,   DType::kU8,   DType::kBool,
                         DType::kU16, DType::kU32, DType::kU64,  DType::kF8E4M3, DType::kF8E5M2};
  std::vector<NamedTensor> tensors;
  for (const DType type : types) {
    Bytes data(6 * sdgen::dtype_size(type));
    for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<unsigned char>(i * 7 + 1);
    tensors.push_back({"t." + std::string(sdgen::dtype_name(type)), type, {2, 3}, data});
  }
  tensors.push_back(f32("scalar", {}, {2.5F}));
  tensors.push_back(f32("none", {0, 7}, {}));
  tensors.push_back(f32("none.too", {3, 0}, {}));
  const std::map<std::string, std::string> metadata = {{"format", "pt"}, {"note \"é\"", "line\nline\x01"}};
  const std::string path = sdgen_test::scratch("types.safetensors");
  sdgen::write_safetensors(path, tensors, metadata);
  const auto store = sdgen::open_safetensors(path);
  CHECK(store->path() == path && store->metadata() == metadata && store->tensors().size() == tensors.size());
  for (const NamedTensor& tensor : tensors) {
    const sdgen::TensorInfo* info = store->find(tensor.name);
    CHECK_MSG(info != nullptr, tensor.name);
    if (info == nullptr) continue;
    CHECK(info->dtype == tensor.dtype && info->shape == tensor.shape && info->bytes == tensor.data.size());
    Bytes data(info->bytes);
    store->read_raw(*info, 0, data.data(), data.size());
    CHECK(data == tensor.data);
  }
  CHECK(std::is_sorted(store->tensors().begin(), store->tensors().end(),
                       [](const auto& a, const auto& b) { return a.offset < b.offset; }));
  CHECK(store->find("t.F3") == nullptr && store->find("") == nullptr && store->find("zzz") == nullptr);
  CHECK(sdgen::read_all_f32(*store, *store->find("scalar")) == std::vector<float>{2.5F});
  for (const char* name : {"none", "none.too"}) CHECK(sdgen::read_all_f32(*store, *store->find(name)).empty());
  CHECK(same(*store, *open_bytes(sdgen::safetensors_bytes(tensors, metadata))));
}

TEST(safetensors_data_is_aligned) {
  for (size_t length = 1; length < 20; ++length) {
    const auto bytes = sdgen::safetensors_bytes({f32(std::string(length, 'n'), {1}, {1})}, {});
    CHECK(open_bytes(bytes)->tensors()[0].offset % 8 == 0 && bytes.size() % 8 == 4);
  }
  CHECK(open_bytes(sdgen::safetensors_bytes({}, {}))->tensors().empty());
}

TEST(safetensors_floats_become_f32) {
  const auto store = open_bytes(sdgen::safetensors_bytes({{"d", DType::kF64, {2}, bytes_of<double>({0.1, -4.0})},
                                                    {"h", DType::kF16, {2}, bytes_of<uint16_t>({0x3C00, 0x8001})},
                                                    {"b", DType::kBF16, {2}, bytes_of<uint16_t>({0x3F80, 0xC040})},
                                                    {"i", DType::kI64, {1}, bytes_of<int64_t>({1})}},
                                                   {}));
  CHECK(sdgen::read_all_f32(*store, *store->find("d")) == (std::vector<float>{0.1F, -4.0F}));
  CHECK(sdgen::read_all_f32(*store, *store->find("h")) == (std::vector<float>{1.0F, -0x1p-24F}));
  CHECK(sdgen::read_all_f32(*store, *store->find("b")) == (std::vector<float>{1.0F, -3.0F}));
  std::string what;
  CHECK_THROWS(sdgen::read_all_f32(*store, *store->find("i")), ErrorCode::kModelFormat, what);
  CHECK_MSG(what.starts_with("m.safetensors: tensor \"i\" holds I64 where F32, F16, BF16 or F64 is needed; "), what);
}

TEST(safetensors_pieces_are_whole_rows) {
  const int64_t rows = 1000, row = 301;  // more than one staging buffer of halves
  std::vector<uint16_t> halves(static_cast<size_t>(rows * row));
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i * 2654435761U >> 16 & 0x7BFFU);
  const std::string path = sdgen_test::scratch("rows.safetensors");
  sdgen::write_safetensors(path, {{"w", DType::kF16, {rows, 7, 43}, bytes_of(halves)}}, {});
  const auto store = sdgen::open_safetensors(path);
  const sdgen::TensorInfo& tensor = store->tensors()[0];
  for (const int64_t limit : {int64_t{1}, row, 2 * row + 5, int64_t{100'000}, int64_t{1} << 40}) {
    int64_t next = 0;
    store->read_f32(tensor, limit, [&](int64_t first, std::span<const float> values) {
      const auto count = static_cast<int64_t>(values.size());
      CHECK(first == next && count % row == 0 && count > 0 && (count <= limit || count == row));
      for (int64_t i = 0; i < count; ++i) {
        CHECK(values[static_cast<size_t>(i)] == sdgen::f16_to_f32(halves[static_cast<size_t>(first + i)]));
      }
      next = first + count;
    });
    CHECK_MSG(next == rows * row, "limit " << limit << " ended at " << next);
  }
}

TEST(safetensors_reads_from_threads) {
  std::vector<float> values(200'000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const std::string path = sdgen_test::scratch("threads.safetensors");
  sdgen::write_safetensors(path, {f32("w", {400, 500}, values)}, {});
  const auto store = sdgen::open_safetensors(path);
  std::vector<std::thread> threads;
  std::vector<std::vector<float>> got(4);
  for (auto& mine : got) threads.emplace_back([&] { mine = sdgen::read_all_f32(*store, *store->find("w")); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& mine : got) CHECK(mine == values);
}

TEST(safetensors_files_that_cannot_be_read) {
  std::string what;
  const std::string missing = sdgen_test::scratch("missing.safetensors");
  CHECK_THROWS(sdgen::open_safetensors(missing), ErrorCode::kIo, what);
  CHECK(what == missing + ": there is no such file; check the path of the model");
  const std::string folder = sdgen_test::scratch("folder.safetensors");
  fs::create_directory(folder);
  CHECK_THROWS(sdgen::open_safetensors(folder), ErrorCode::kIo, what);
  CHECK(what == folder + ": this is a folder; give the path of a .safetensors file");
  const std::string pipe = sdgen_test::scratch("pipe.safetensors");
  CHECK(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THROWS(sdgen::open_safetensors(pipe), ErrorCode::kIo, what);
  CHECK_THROWS(sdgen::open_safetensors("/dev/zero"), ErrorCode::kIo, what);
  CHECK(what == "/dev/zero: this is not a regular file; give the path of a .safetensors file");
  CHECK_THROWS(sdgen::open_safetensors(""), ErrorCode::kIo, what);
  CHECK_THROWS(sdgen::open_safetensors(missing + "/x"), ErrorCode::kIo, what);
  CHECK_THROWS(sdgen::open_safetensors("no-such\x1b[2J"), ErrorCode::kIo, what);
  CHECK(what.starts_with("no-such\\x1b[2J: "));
}

TEST(safetensors_file_that_shrinks) {
  const std::string path = sdgen_test::scratch("shrinks.safetensors");
  sdgen::write_safetensors(path, {f32("w", {1000}, std::vector<float>(1000, 1))}, {});
  const auto store = sdgen::open_safetensors(path);
  fs::resize_file(path, fs::file_size(path) - 2000);
  std::string what;
  CHECK_THROWS(sdgen::read_all_f32(*store, *store->find("w")), ErrorCode::kIo, what);
  CHECK_MSG(what.find("the file shrank while it was in use") != std::string::npos, what);
  float first = 0;
  store->read_raw(*store->find("w"), 0, &first, 4);
  CHECK(first == 1);
}

TEST(safetensors_raw_reads_stay_inside) {
  const auto store = open_bytes(sdgen::safetensors_bytes(small_model(), {}));
  const sdgen::TensorInfo& tensor = *store->find("b.weight");
  float value = 0;
  store->read_raw(tensor, 20, &value, 4);
  CHECK(value == 6);
  store->read_raw(tensor, 24, &value, 0);
  std::string what;
  CHECK_THROWS(store->read_raw(tensor, 21, &value, 4), ErrorCode::kInternal, what);
  CHECK_THROWS(store->read_raw(tensor, ~uint64_t{0}, &value, 4), ErrorCode::kInternal, what);
}

TEST(safetensors_write_is_whole_or_nothing) {
  const std::string folder = sdgen_test::scratch("writes");
  fs::create_directory(folder);
  const std::string path = folder + "/out.safetensors";
  sdgen::write_safetensors(path, small_model(), {{"a", "b"}});
  const auto before = sdgen::open_safetensors(path);
  sdgen::write_safetensors(path, small_model(), {{"a", "c"}});
  CHECK(sdgen::open_safetensors(path)->metadata().at("a") == "c");
  // A store that is open keeps the file that it opened.
  CHECK(same(*before, *open_bytes(sdgen::safetensors_bytes(small_model(), {{"a", "b"}}))));
  std::string what;
  CHECK_THROWS(sdgen::write_safetensors(folder + "/no/out.safetensors", small_model(), {}), ErrorCode::kIo, what);
  CHECK_MSG(what.starts_with(folder + "/no/out.safetensors: cannot be created: "), what);
  CHECK_THROWS(sdgen::write_safetensors(folder, small_model(), {}), ErrorCode::kIo, what);
  CHECK_THROWS(sdgen::write_safetensors(path, {f32("w", {3}, {1, 2})}, {}), ErrorCode::kInternal, what);
  CHECK_THROWS(sdgen::write_safetensors(path, {f32("w", {-1}, {})}, {}), ErrorCode::kInternal, what);

  // A disk that is full in the middle, by way of the limit on file sizes.
  rlimit old{};
  CHECK(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, old.rlim_max};
  CHECK(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  CHECK_THROWS(sdgen::write_safetensors(path, {f32("w", {4000}, std::vector<float>(4000))}, {}), ErrorCode::kIo, what);
  CHECK(::setrlimit(RLIMIT_FSIZE, &old) == 0);
  std::signal(SIGXFSZ, handler);
  CHECK_MSG(what.starts_with(path + ": cannot be written: "), what);
  CHECK(sdgen::open_safetensors(path)->metadata().at("a") == "c");
  size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder)) ++entries;
  CHECK_MSG(entries == 1, entries << " files are left");
  for (const auto& entry : fs::directory_iterator(fs::path(folder).parent_path())) {
    CHECK_MSG(entry.path().extension() != ".tmp", entry.path());
  }
}
