{
  'targets': [
    {
      'target_name': 'podwire',
      'sources': [
        'native/addon.cc',
        'native/args.cc',
        'native/diag.cc',
        'native/error.cc',
        'native/link.cc',
        'native/map.cc',
        'native/map_batch.cc',
        'native/netns.cc',
        'native/object.cc',
        'native/program.cc',
        'native/ringbuf.cc',
        'native/socket.cc',
        'native/system.cc',
      ],
      'dependencies': ["<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except"],
      # A worker may be told to end while it is in here: it can throw no JS exception then.
      'defines': ['NAPI_VERSION=9', '_GNU_SOURCE', 'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS'],
      'cflags': ['-Wall', '-Wextra', '-fvisibility=hidden', '<!@(pkg-config --cflags libbpf)'],
      'cflags_cc!': ['-std=gnu++17'],
      'cflags_cc': ['-std=gnu++20', '-fvisibility-inlines-hidden'],
      'libraries': ['<!@(pkg-config --libs libbpf)'],
    },
  ],
}
