# Compiles the kernels with nvcc into one image a family and puts them into sdgen_core. CMake's own CUDA language is not
# used: the host's code needs none of the toolkit's headers or libraries, the driver is found at run time.
find_program(SDGEN_NVCC nvcc HINTS "$ENV{CUDA_HOME}/bin" "$ENV{CUDA_PATH}/bin" /usr/local/cuda/bin
  DOC "The CUDA compiler, 12.8 or newer")
if(NOT SDGEN_NVCC)
  message(FATAL_ERROR "SDGEN_CUDA: there is no nvcc: install the CUDA toolkit 12.8 or newer, or say where it is with CUDA_HOME or -DSDGEN_NVCC=.")
endif()
execute_process(COMMAND "${SDGEN_NVCC}" --version OUTPUT_VARIABLE SDGEN_NVCC_TEXT ERROR_VARIABLE SDGEN_NVCC_TEXT RESULT_VARIABLE SDGEN_NVCC_RESULT)
if(NOT SDGEN_NVCC_RESULT EQUAL 0 OR NOT SDGEN_NVCC_TEXT MATCHES "release ([0-9]+)\\.([0-9]+)")
  message(FATAL_ERROR "SDGEN_CUDA: ${SDGEN_NVCC} --version does not answer as nvcc does.")
endif()
set(SDGEN_NVCC_MAJOR ${CMAKE_MATCH_1})
set(SDGEN_NVCC_MINOR ${CMAKE_MATCH_2})
if("${SDGEN_NVCC_MAJOR}.${SDGEN_NVCC_MINOR}" VERSION_LESS 12.8)
  message(FATAL_ERROR "SDGEN_CUDA: ${SDGEN_NVCC} is ${SDGEN_NVCC_MAJOR}.${SDGEN_NVCC_MINOR}; 12.8 or newer is needed.")
endif()
math(EXPR SDGEN_TOOLKIT "${SDGEN_NVCC_MAJOR} * 1000 + ${SDGEN_NVCC_MINOR} * 10")

# RTX 30, 40 and 50 (86, 89, 120), A100 (80), H100 (90a).
set(SDGEN_CUDA_ARCHITECTURES "80;86;89;90a;120" CACHE STRING "Compute capabilities to compile the kernels for")
foreach(architecture ${SDGEN_CUDA_ARCHITECTURES})
  list(APPEND SDGEN_GENCODE -gencode "arch=compute_${architecture},code=sm_${architecture}")
endforeach()
message(STATUS "CUDA kernels by nvcc ${SDGEN_NVCC_MAJOR}.${SDGEN_NVCC_MINOR} for sm_${SDGEN_CUDA_ARCHITECTURES}")

set(SDGEN_CODE_FOLDER "${CMAKE_BINARY_DIR}/cuda")
file(MAKE_DIRECTORY "${SDGEN_CODE_FOLDER}")
file(GLOB SDGEN_CODE_HEADERS CONFIGURE_DEPENDS native/backends/cuda/*.h native/backends/cuda/*/*.h native/backends/cuda/*/*.cuh native/base/math.h)
set(SDGEN_CODE_LIST "")
foreach(source ${SDGEN_KERNEL_SOURCES})
  get_filename_component(name "${source}" NAME_WE)
  get_filename_component(family "${source}" DIRECTORY)
  get_filename_component(family "${family}" NAME)
  set(image "${SDGEN_CODE_FOLDER}/${family}_${name}.fatbin")
  # No contraction, denormals kept, exact division and root: the numerics contract.
  add_custom_command(OUTPUT "${image}"
    COMMAND "${SDGEN_NVCC}" -fatbin -std=c++20 -O3 -fmad=false -ftz=false -prec-div=true -prec-sqrt=true ${SDGEN_GENCODE}
      -ccbin "${CMAKE_CXX_COMPILER}" -I "${CMAKE_CURRENT_SOURCE_DIR}/native" -o "${image}" "${source}"
    DEPENDS "${source}" ${SDGEN_CODE_HEADERS} VERBATIM COMMENT "Compiling the kernels ${family}/${name}")
  list(APPEND SDGEN_CODE_IMAGES "${image}")
  string(APPEND SDGEN_CODE_LIST "SDGEN_CODE(${family}_${name}, \"${image}\")\n")
endforeach()
file(CONFIGURE OUTPUT "${SDGEN_CODE_FOLDER}/code_images.inc" CONTENT "${SDGEN_CODE_LIST}")
list(JOIN SDGEN_CUDA_ARCHITECTURES ", sm_" SDGEN_ARCHITECTURES_TEXT)
set_source_files_properties(native/backends/cuda/embedded.cpp PROPERTIES OBJECT_DEPENDS "${SDGEN_CODE_IMAGES};${SDGEN_CODE_FOLDER}/code_images.inc"
  COMPILE_DEFINITIONS "SDGEN_CODE_IMAGES=\"${SDGEN_CODE_FOLDER}/code_images.inc\";SDGEN_TOOLKIT=${SDGEN_TOOLKIT};SDGEN_ARCHITECTURES=\"sm_${SDGEN_ARCHITECTURES_TEXT}\"")
