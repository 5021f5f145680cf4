// Compiles kernels for an adapter that need not be there, and prints what its driver says of them.
//
// Reads names of SPIR-V files from standard input, one a line, and makes a compute pipeline of each on the first Vulkan
// adapter. For each it prints one line: the name, VkResult, seconds, and what VK_KHR_pipeline_executable_properties
// tells, as NAME=VALUE separated by `;`. The name comes first and alone, so that a driver that crashes tells on what.
//
//     cc -O1 -o compile compile.c -lvulkan

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vulkan/vulkan.h>

// Most bindings of a kernel: a uniform, eight buffers, a texture.
enum { MOST_BINDINGS = 16, MOST_STATISTICS = 64 };
// Words of SPIR-V: instructions, decorations, storage classes.
enum { OP_ENTRY_POINT = 15, OP_TYPE_IMAGE = 25, OP_TYPE_SAMPLER = 26, OP_TYPE_POINTER = 32, OP_VARIABLE = 59, OP_DECORATE = 71 };
enum { BINDING = 33, CLASS_CONSTANT = 0, CLASS_UNIFORM = 2, FIRST_INSTRUCTION = 5 };

static void demand(VkResult result, const char *what) {
    if (result != VK_SUCCESS) {
        fprintf(stderr, "%s: VkResult %d\n", what, result);
        exit(1);
    }
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

typedef struct {
    VkPhysicalDevice adapter;
    VkDevice device;
    PFN_vkGetPipelineExecutablePropertiesKHR properties;
    PFN_vkGetPipelineExecutableStatisticsKHR statistics;
} Gpu;

static bool offers(VkPhysicalDevice adapter, const char *extension) {
    uint32_t count = 0;
    vkEnumerateDeviceExtensionProperties(adapter, NULL, &count, NULL);
    VkExtensionProperties *all = calloc(count, sizeof *all);
    vkEnumerateDeviceExtensionProperties(adapter, NULL, &count, all);
    bool found = false;
    for (uint32_t i = 0; i < count; i++) {
        found = found || strcmp(all[i].extensionName, extension) == 0;
    }
    free(all);
    return found;
}

// A device of the first adapter with everything that it offers.
static Gpu open_gpu(void) {
    VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_3};
    VkInstanceCreateInfo instance_info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &application};
    VkInstance instance;
    demand(vkCreateInstance(&instance_info, NULL, &instance), "an instance");
    uint32_t count = 1;
    Gpu gpu = {0};
    vkEnumeratePhysicalDevices(instance, &count, &gpu.adapter);
    if (count == 0) {
        fprintf(stderr, "no adapter\n");
        exit(1);
    }
    VkPhysicalDeviceSubgroupSizeControlProperties sizes = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &sizes};
    vkGetPhysicalDeviceProperties2(gpu.adapter, &properties);
    printf("ADAPTER %s;subgroups=%u-%u\n", properties.properties.deviceName, sizes.minSubgroupSize, sizes.maxSubgroupSize);

    const char *extensions[2];
    uint32_t wanted = 0;
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR told = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrices = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, .pNext = &told};
    VkPhysicalDeviceVulkan13Features v13 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES, .pNext = &told};
    extensions[wanted++] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
    if (offers(gpu.adapter, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME)) {
        extensions[wanted++] = VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME;
        v13.pNext = &matrices;
    }
    VkPhysicalDeviceVulkan12Features v12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, .pNext = &v13};
    VkPhysicalDeviceVulkan11Features v11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .pNext = &v12};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &v11};
    vkGetPhysicalDeviceFeatures2(gpu.adapter, &features);
    float priority = 1.0f;
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority};
    VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &features,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = wanted,
        .ppEnabledExtensionNames = extensions,
    };
    demand(vkCreateDevice(gpu.adapter, &info, NULL, &gpu.device), "a device that tells of its pipelines");
    gpu.properties = (PFN_vkGetPipelineExecutablePropertiesKHR)(void *)vkGetDeviceProcAddr(
        gpu.device, "vkGetPipelineExecutablePropertiesKHR");
    gpu.statistics = (PFN_vkGetPipelineExecutableStatisticsKHR)(void *)vkGetDeviceProcAddr(
        gpu.device, "vkGetPipelineExecutableStatisticsKHR");
    return gpu;
}

static uint32_t *read_words(const char *name, size_t *count) {
    FILE *file = fopen(name, "rb");
    if (file == NULL) {
        perror(name);
        exit(1);
    }
    fseek(file, 0, SEEK_END);
    size_t bytes = (size_t)ftell(file);
    rewind(file);
    uint32_t *words = malloc(bytes);
    *count = fread(words, 4, bytes / 4, file);
    fclose(file);
    return words;
}

// The bindings that a module declares, all of them in set 0, and the name of its entry point.
static uint32_t bindings_of(
    const uint32_t *words, size_t count, VkDescriptorSetLayoutBinding bindings[MOST_BINDINGS], const char **entry) {
    size_t ids = words[3];
    int64_t *binding = malloc(ids * sizeof *binding);
    uint32_t *pointee = calloc(ids, sizeof *pointee), *opcode = calloc(ids, sizeof *opcode);
    uint32_t *sampled = calloc(ids, sizeof *sampled);
    for (size_t id = 0; id < ids; id++) {
        binding[id] = -1;
    }
    uint32_t found = 0;
    for (size_t at = FIRST_INSTRUCTION; at < count; at += words[at] >> 16) {
        const uint32_t *word = words + at;
        switch (word[0] & 0xffff) {
        case OP_ENTRY_POINT:
            *entry = (const char *)(word + 3);
            break;
        case OP_DECORATE:
            if (word[2] == BINDING) {
                binding[word[1]] = word[3];
            }
            break;
        case OP_TYPE_IMAGE:
            opcode[word[1]] = OP_TYPE_IMAGE;
            sampled[word[1]] = word[7];
            break;
        case OP_TYPE_SAMPLER:
            opcode[word[1]] = OP_TYPE_SAMPLER;
            break;
        case OP_TYPE_POINTER:
            pointee[word[1]] = word[3];
            break;
        case OP_VARIABLE: {
            if (binding[word[2]] < 0 || found == MOST_BINDINGS) {
                break;
            }
            uint32_t type = pointee[word[1]];
            VkDescriptorType kind = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
            if (word[3] == CLASS_UNIFORM) {
                kind = VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER;
            } else if (word[3] == CLASS_CONSTANT && opcode[type] == OP_TYPE_SAMPLER) {
                kind = VK_DESCRIPTOR_TYPE_SAMPLER;
            } else if (word[3] == CLASS_CONSTANT) {
                kind = sampled[type] == 2 ? VK_DESCRIPTOR_TYPE_STORAGE_IMAGE : VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE;
            }
            bindings[found++] = (VkDescriptorSetLayoutBinding){
                .binding = (uint32_t)binding[word[2]],
                .descriptorType = kind,
                .descriptorCount = 1,
                .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
            };
            break;
        }
        default:
            break;
        }
    }
    free(binding);
    free(pointee);
    free(opcode);
    free(sampled);
    return found;
}

static void print_statistics(const Gpu *gpu, VkPipeline pipeline) {
    VkPipelineInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = pipeline};
    uint32_t count = 1;
    VkPipelineExecutablePropertiesKHR program = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR};
    gpu->properties(gpu->device, &info, &count, &program);
    printf(";subgroup=%u", program.subgroupSize);
    VkPipelineExecutableInfoKHR which = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline};
    VkPipelineExecutableStatisticKHR all[MOST_STATISTICS];
    for (int i = 0; i < MOST_STATISTICS; i++) {
        all[i] = (VkPipelineExecutableStatisticKHR){.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
    }
    count = MOST_STATISTICS;
    gpu->statistics(gpu->device, &which, &count, all);
    for (uint32_t i = 0; i < count; i++) {
        if (all[i].format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR) {
            printf(";%s=%g", all[i].name, all[i].value.f64);
        } else {
            printf(";%s=%llu", all[i].name, (unsigned long long)all[i].value.u64);
        }
    }
}

static void compile(const Gpu *gpu, const char *name) {
    size_t count;
    uint32_t *words = read_words(name, &count);
    VkDescriptorSetLayoutBinding bindings[MOST_BINDINGS];
    const char *entry = "main";
    VkDescriptorSetLayoutCreateInfo set_info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = bindings_of(words, count, bindings, &entry),
        .pBindings = bindings,
    };
    VkDescriptorSetLayout set;
    demand(vkCreateDescriptorSetLayout(gpu->device, &set_info, NULL, &set), name);
    VkPipelineLayoutCreateInfo layout_info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = 1, .pSetLayouts = &set};
    VkPipelineLayout layout;
    demand(vkCreatePipelineLayout(gpu->device, &layout_info, NULL, &layout), name);
    VkShaderModuleCreateInfo module_info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = count * 4, .pCode = words};
    VkShaderModule module;
    demand(vkCreateShaderModule(gpu->device, &module_info, NULL, &module), name);
    // As wgpu asks for them.
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR,
        .stage = {
            .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
            .flags = VK_PIPELINE_SHADER_STAGE_CREATE_ALLOW_VARYING_SUBGROUP_SIZE_BIT,
            .stage = VK_SHADER_STAGE_COMPUTE_BIT,
            .module = module,
            .pName = entry,
        },
        .layout = layout,
    };
    printf("%s", name);
    fflush(stdout);
    VkPipeline pipeline;
    double start = seconds();
    VkResult result = vkCreateComputePipelines(gpu->device, VK_NULL_HANDLE, 1, &info, NULL, &pipeline);
    printf(";result=%d;seconds=%.3f", result, seconds() - start);
    if (result == VK_SUCCESS) {
        print_statistics(gpu, pipeline);
        vkDestroyPipeline(gpu->device, pipeline, NULL);
    }
    printf("\n");
    fflush(stdout);
    vkDestroyShaderModule(gpu->device, module, NULL);
    vkDestroyPipelineLayout(gpu->device, layout, NULL);
    vkDestroyDescriptorSetLayout(gpu->device, set, NULL);
    free(words);
}

int main(void) {
    Gpu gpu = open_gpu();
    fflush(stdout);
    char name[4096];
    while (fgets(name, sizeof name, stdin) != NULL) {
        name[strcspn(name, "\n")] = 0;
        compile(&gpu, name);
    }
    return 0;
}
